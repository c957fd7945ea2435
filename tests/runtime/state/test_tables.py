"""A partition's table: what a batch sees, what stays of it, and what comes back after a loss."""

from __future__ import annotations

import contextlib
import secrets
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.partition.transactions import FencedProducer
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.state.local_store import CACHE_BYTES, StoreDamagedError
from streams.runtime.state.tables import PartitionTable, RecoveryError
from streams.runtime.state.watermarks import LIMIT_S
from tests.runtime.builders import deployed

Change = tuple[bytes, bytes | None]
KEYS = st.sampled_from([b"a", b"ab", b"b", b"ba", b"bb", b"c\xff", b"w/1", b"w/2"])
VALUES = st.binary(max_size=3)
CHANGE = st.tuples(KEYS, st.none() | VALUES)
STEP = st.one_of(
    st.tuples(st.just("write"), CHANGE),
    st.tuples(st.just("fails"), st.lists(CHANGE, min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["apply", "discard", "reopen"]), st.none()),
)


class Broken(Exception):  # what a decision of ours might raise
    """A bug, in the middle of an event."""


def write(table: PartitionTable, key: bytes, value: bytes | None) -> None:
    """Put, or delete where there is no value."""
    if value is None:
        table.delete(key)
    else:
        table.put(key, value)


def fail_after(table: PartitionTable, changes: list[Change]) -> None:
    """An event whose decision raises once it has written."""
    with contextlib.suppress(Broken), table.savepoint():
        for key, value in changes:
            write(table, key, value)
        raise Broken


def fold(model: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    """The same on a dict."""
    if value is None:
        model.pop(key, None)
    else:
        model[key] = value


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=25), st.sampled_from([b"", b"a", b"b", b"w/"]), st.integers(0, 6), KEYS)
def test_a_table_is_a_dict_whose_batch_can_be_taken_back(
    steps: list[tuple[str, Any]], prefix: bytes, n: int, after: bytes
) -> None:
    """Reads and ordered scans see the batch; a failed event, an abort and a crash leave no trace of themselves."""
    with tempfile.TemporaryDirectory() as folder:
        table = PartitionTable(Path(folder))
        stored: dict[bytes, bytes] = {}
        seen: dict[bytes, bytes] = {}
        for kind, what in steps:
            match kind, what:
                case "write", (bytes() as key, value):
                    write(table, key, value)
                    fold(seen, key, value)
                case "fails", list(changes):
                    fail_after(table, changes)
                case "apply", _:
                    table.apply(None)
                    stored = dict(seen)
                case "discard", _:
                    table.discard()
                    seen = dict(stored)
                case "reopen", _:
                    table.close()
                    table = PartitionTable(Path(folder))
                    seen = dict(stored)
            wanted = sorted((key, value) for key, value in seen.items() if key.startswith(prefix))
            assert list(table.scan(prefix, limit=100)) == wanted
            assert list(table.scan(prefix, limit=n)) == wanted[:n]
            assert list(table.scan(prefix, limit=n, after=after)) == [pair for pair in wanted if pair[0] > after][:n]
            assert {key: table.get(key) for key in seen} == seen
            changed = dict(table.changes())
            assert {key: value for key, value in (stored | changed).items() if value is not None} == seen
        table.close()


def test_a_savepoint_that_holds_keeps_its_writes(tmp_path: Path) -> None:
    """An event that is decided leaves its writes, over those of the batch before it."""
    table = PartitionTable(tmp_path)
    table.put(b"a", b"1")
    with table.savepoint():
        table.put(b"a", b"2")
        table.delete(b"b")
    fail_after(table, [(b"a", b"3"), (b"c", b"1")])
    assert table.changes() == [(b"a", b"2"), (b"b", None)]
    table.close()


class Writer:
    """The changelog's owner, for partition 0."""

    def __init__(self, deployment: Settings) -> None:
        self.kafka = deployment.kafka
        self.topic = deployment.topic("gate-state")
        self._group = GroupOffsets(self.kafka, f"{self.kafka.prefix}gate")
        self._producer = FencedProducer(self.kafka, f"{self.kafka.prefix}gate-0")
        self._producer.fence()

    def commit(self, table: PartitionTable) -> int:
        """Make the batch durable in the changelog; where the changelog goes on after it."""
        records = [Record(topic=self.topic, key=key, value=value, partition=0) for key, value in table.changes()]
        last = self._producer.commit(records, {}, self._group, changelog=self.topic)
        assert last is not None
        return last + 1

    def recover(self, path: Path) -> tuple[PartitionTable, int]:
        """Open the copy in this folder and read on; how many records that took."""
        table = PartitionTable(path)
        return table, table.recover(self.kafka, self.topic, 0)


@pytest.fixture
def writer(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Writer:
    """A deployment of the test's own."""
    return Writer(deployed(kafka_bootstrap, topic_prefix, tmp_path / "data"))


@pytest.mark.integration
def test_a_crash_between_commit_and_write_is_made_good(writer: Writer, tmp_path: Path) -> None:
    """What Kafka has and the disk has not is read again, and no more than that."""
    table = PartitionTable(tmp_path / "t")
    for number in range(3):
        table.put(b"k%d" % number, b"1")
    table.apply(writer.commit(table))
    table.delete(b"k0")
    table.put(b"k1", b"2")
    writer.commit(table)
    table.close()  # the process ends here: nothing applied
    again, read = writer.recover(tmp_path / "t")
    assert read == 2
    assert list(again.scan(b"k", limit=9)) == [(b"k1", b"2"), (b"k2", b"1")]
    again.close()
    once_more, read = writer.recover(tmp_path / "t")
    assert read == 0
    assert once_more.get(b"k1") == b"2"
    once_more.close()


@pytest.mark.integration
def test_an_empty_disk_gets_all_of_it(writer: Writer, tmp_path: Path) -> None:
    """Another machine takes the partition: the whole changelog, tombstones heeded; an empty one is no problem."""
    fresh, read = writer.recover(tmp_path / "fresh")
    assert read == 0
    for round_ in range(3):
        for number in range(400):
            write(fresh, b"k%d" % number, None if round_ == 2 and number % 2 else b"%d" % round_)
        fresh.apply(writer.commit(fresh))
    other, read = writer.recover(tmp_path / "other")
    assert read == 1_200
    assert dict(other.scan(b"k", limit=2_000)) == dict(fresh.scan(b"k", limit=2_000))
    assert len(dict(other.scan(b"k", limit=2_000))) == 200
    fresh.close()
    other.close()


@pytest.mark.integration
def test_a_copy_of_another_changelog_is_thrown_away(writer: Writer, tmp_path: Path) -> None:
    """The disk says to go on beyond the topic's end: the topic was made anew, and it has the truth."""
    table = PartitionTable(tmp_path / "t")
    table.put(b"old", b"1")
    table.apply(1_000_000)
    table.put(b"new", b"1")
    writer.commit(table)
    table.close()
    again, _ = writer.recover(tmp_path / "t")
    assert again.get(b"old") is None
    assert again.get(b"new") == b"1"
    again.close()


def test_a_scan_begins_at_the_first_row_that_is_left(tmp_path: Path) -> None:
    """What was deleted before it is not stepped over again; a row that is put before it is met first."""
    table = PartitionTable(tmp_path)
    for number in range(1_000):
        table.put(b"w/%04d" % number, b"1")
    table.apply(None)
    for number in range(900):
        assert [key for key, _ in table.scan(b"w/", limit=1)] == [b"w/%04d" % number]
        table.delete(b"w/%04d" % number)
        table.apply(None)
    assert table._floors.start(b"w/") == b"w/0899"
    table.put(b"w/0007", b"1")
    assert [key for key, _ in table.scan(b"w/", limit=2)] == [b"w/0007", b"w/0900"]
    table.discard()
    table.put(b"w/0008", b"1")
    table.apply(None)
    assert [key for key, _ in table.scan(b"w/", limit=2)] == [b"w/0008", b"w/0900"]
    table.close()


def test_an_open_table_has_the_options_it_was_made_with(tmp_path: Path) -> None:
    """Rocksdict opens an existing store without cache and filter, unless they are named for its column family too."""
    PartitionTable(tmp_path).close()
    table = PartitionTable(tmp_path)
    assert table._db.property_value("rocksdb.block-cache-capacity") == str(CACHE_BYTES)
    table.close()


def damage(path: Path) -> None:
    """Write nonsense over the middle of its largest file."""
    file = max(path.glob("*.sst"), key=lambda one: one.stat().st_size)
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(content[:middle] + b"\xff" * 8_192 + content[middle + 8_192 :])


@pytest.mark.integration
def test_a_damaged_copy_is_rebuilt_and_nothing_rests_on_it(writer: Writer, tmp_path: Path) -> None:
    """A read that meets damage raises, and so does the batch; opened again, the table has all of the changelog."""
    table = PartitionTable(tmp_path / "t")
    wanted = {b"k%04d" % number: secrets.token_bytes(100) for number in range(1_000)}
    for key, value in wanted.items():
        table.put(key, value)
    table.apply(writer.commit(table))
    table.close()
    damage(tmp_path / "t")
    table, read = writer.recover(tmp_path / "t")
    assert read == 0  # it does not show before it is met
    with pytest.raises(StoreDamagedError):
        list(table.scan(b"k", limit=2_000))
    table.put(b"k0000", b"after the damage")
    with pytest.raises(StoreDamagedError):
        table.changes()
    table.close()
    again, read = writer.recover(tmp_path / "t")
    assert read == 1_000
    assert dict(again.scan(b"k", limit=2_000)) == wanted
    again.close()


@pytest.mark.integration
def test_a_copy_older_than_tombstones_is_rebuilt_unless_nothing_was_written(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle partition's copy is as good after two days; one that missed writes may keep what was deleted."""
    table = PartitionTable(tmp_path / "t")
    table.put(b"a", b"1")
    table.apply(writer.commit(table))
    table.close()
    clock = [time.time() + 2 * 86_400]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    idle, read = writer.recover(tmp_path / "t")
    assert read == 0
    idle.put(b"b", b"1")
    writer.commit(idle)  # by another owner, as far as this copy knows
    idle.close()
    clock[0] += 2 * 86_400
    again, read = writer.recover(tmp_path / "t")
    assert read == 2
    assert dict(again.scan(b"", limit=9)).keys() >= {b"a", b"b"}
    again.close()


@pytest.mark.integration
def test_a_recovery_ends_when_the_partition_is_given_up(writer: Writer, tmp_path: Path) -> None:
    """A revocation does not wait for millions of records; what was read stays and is built on."""
    table = PartitionTable(tmp_path / "live")
    for start in (0, 4_000, 8_000):
        for number in range(4_000):
            table.put(b"k%d" % (start + number), b"1")
        table.apply(writer.commit(table))
    table.close()
    half = PartitionTable(tmp_path / "t")
    with pytest.raises(RecoveryError, match="given up"):
        half.recover(writer.kafka, writer.topic, 0, go_on=lambda: False)
    half.close()
    again, read = writer.recover(tmp_path / "t")
    assert 0 < read < 12_000
    assert len(list(again.scan(b"k", limit=20_000))) == 12_000
    again.close()


@pytest.mark.integration
@pytest.mark.parametrize("complete_before", [False, True], ids=["from zero", "from where it stood"])
def test_a_recovery_that_was_interrupted_makes_a_copy_no_younger(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complete_before: bool
) -> None:
    """What lies behind it may be a tombstone that Kafka drops meanwhile: its age counts from its last end, or start."""
    began, hour = time.time(), 3_600
    clock = [began]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    table = PartitionTable(tmp_path / "live")
    table.put(b"deleted later", b"1")
    table.apply(writer.commit(table))
    if complete_before:
        writer.recover(tmp_path / "t")[0].close()
    for start in (0, 4_000, 8_000):
        for number in range(4_000):
            table.put(b"k%d" % (start + number), b"1")
        table.apply(writer.commit(table))
    table.close()
    for after in (0, 19):
        clock[0] = began + after * hour
        half = PartitionTable(tmp_path / "t")
        with pytest.raises(RecoveryError, match="given up"):
            half.recover(writer.kafka, writer.topic, 0, go_on=lambda: False)
        half.close()
    clock[0] = began + 21 * hour
    again, read = writer.recover(tmp_path / "t")
    assert read == 12_001
    again.close()
    again, read = writer.recover(tmp_path / "t")
    assert read == 0
    again.close()


def test_a_recovery_whose_broker_is_away_ends_when_the_partition_is_given_up(tmp_path: Path) -> None:
    """A revocation does not wait for a leader: one ask, and that is short."""
    table = PartitionTable(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = KafkaSettings(bootstrap=f"127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(RecoveryError):
            table.recover(nobody, "t", 0, go_on=lambda: False)
    assert time.monotonic() - began < LIMIT_S / 2
    table.close()
