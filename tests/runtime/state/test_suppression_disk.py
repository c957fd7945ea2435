"""The suppression list on disk: the same answers as in memory, and no copy is built on that may be wrong."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import ids
from schemas.events import Suppression
from streams.runtime.state.local_store import StoreDamagedError, StoreLockedError, open_store
from streams.runtime.state.suppression_disk import SuppressionsOnDisk
from streams.views import World
from streams.views.suppressions import SuppressionsInMemory, SuppressionStore

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ADDRESSES = ("1-aa", "1-aab", "1-bb", "2-aa")
ENDS = {0: (0, 1_000), 1: (0, 1_000)}
ENTRY = st.tuples(
    st.sampled_from(["global", "tenant:acme"]), st.sampled_from(["manual", "complaint"]), st.sampled_from(ADDRESSES)
)
STEP = st.one_of(
    st.tuples(st.just("put"), ENTRY, st.sampled_from(["one", "two"])),
    st.tuples(st.just("remove"), ENTRY, st.none()),
    st.tuples(st.sampled_from(["save", "reopen"]), st.none(), st.none()),
)


def entry(scope: str = "global", reason: Any = "manual", address: str = "1-aa", source: str = "t") -> Suppression:
    """An entry of the list."""
    return Suppression(scope=scope, channel="mail", reason=reason, address_id=address, source=source, at=NOW)


def put(world: World, one: Suppression) -> None:
    """Fold an entry in, as a reader of the topic does."""
    key = ids.suppression_key(one.scope, one.channel, one.reason, one.address_id)
    world.apply("suppressions", key, msgspec.json.encode(one))


def by_key(store: SuppressionStore, address: str) -> list[Suppression]:
    """An address's entries in an order that both kinds of store share."""
    return sorted(store.entries(address), key=lambda one: (one.scope, one.reason))


def fill(path: Path) -> None:
    """One entry, saved at offset 10 of partition 0."""
    store = SuppressionsOnDisk(path)
    assert store.resume("topic", ENDS) == {0: 0, 1: 0}
    put(World(suppressions=store), entry())
    store.save({0: 10})
    store.close()


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[SuppressionsOnDisk]:
    """A copy from disk."""
    fill(tmp_path / "store")
    store = SuppressionsOnDisk(tmp_path / "store")
    yield store
    store.close()


@settings(max_examples=50, deadline=None)
@given(st.lists(STEP, max_size=30))
def test_on_disk_it_answers_as_in_memory(steps: list[tuple[str, Any, Any]]) -> None:
    """Whatever is put, lifted, saved and opened again, each address has the entries that a dict would have."""
    with tempfile.TemporaryDirectory() as folder:
        disk, memory = SuppressionsOnDisk(Path(folder) / "s"), SuppressionsInMemory()
        disk.resume("topic", ENDS)
        worlds = [World(suppressions=disk), World(suppressions=memory)]
        for number, (kind, what, source) in enumerate(steps):
            match kind:
                case "put":
                    for world in worlds:
                        put(world, entry(*what, source=source))
                case "remove":
                    for world in worlds:
                        world.apply("suppressions", ids.suppression_key(what[0], "mail", *what[1:]), None)
                case _:
                    disk.save({0: number})
            if kind == "reopen":
                disk.close()
                disk = SuppressionsOnDisk(Path(folder) / "s")
                assert disk.resume("topic", ENDS)[0] == number
                worlds[0] = World(suppressions=disk)
        disk.save({})
        assert {name: by_key(disk, name) for name in ADDRESSES} == {name: by_key(memory, name) for name in ADDRESSES}
        assert bool(disk) or not bool(memory)
        disk.close()


def test_a_copy_is_read_on_from_where_it_stands(filled: SuppressionsOnDisk) -> None:
    """Opened again, it has its entries and its offsets."""
    assert filled.resume("topic", ENDS) == {0: 10, 1: 0}
    assert list(filled.entries("1-aa")) == [entry()]


@pytest.mark.parametrize(
    ("topic", "ends"),
    [
        ("another", ENDS),
        ("topic", {0: (0, 1_000)}),
        ("topic", {0: (0, 9), 1: (0, 1_000)}),
        ("topic", {0: (11, 1_000), 1: (0, 1_000)}),
    ],
    ids=["made anew", "another width", "beyond the end", "below the start"],
)
def test_a_copy_of_what_is_not_there_is_void(
    filled: SuppressionsOnDisk, topic: str, ends: dict[int, tuple[int, int]]
) -> None:
    """It could hold what the topic does not: all is read anew, and until then nothing is said of anybody."""
    assert filled.resume(topic, ends) == dict.fromkeys(ends, 0)
    assert list(filled.entries("1-aa")) == []
    assert not filled


def test_a_copy_older_than_tombstones_is_void_unless_nothing_was_written_since(
    filled: SuppressionsOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lift that Kafka has forgotten would never reach it; where topic and copy end at one place, there was none."""
    two_days_on = time.time() + 2 * 86_400
    monkeypatch.setattr(time, "time", lambda: two_days_on)
    assert filled.resume("topic", {0: (0, 10), 1: (0, 0)}) == {0: 10, 1: 0}
    assert filled.resume("topic", {0: (0, 11), 1: (0, 0)}) == {0: 0, 1: 0}


def test_a_build_that_was_interrupted_makes_a_copy_no_younger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that was never at its end is as old as its first record: a lift behind it may be forgotten meanwhile."""
    clock = [time.time()]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    fill(tmp_path / "store")
    clock[0] += 19 * 3_600
    store = SuppressionsOnDisk(tmp_path / "store")
    assert store.resume("topic", ENDS) == {0: 10, 1: 0}
    store.save({0: 20})
    store.close()
    clock[0] += 2 * 3_600
    store = SuppressionsOnDisk(tmp_path / "store")
    assert store.resume("topic", ENDS) == {0: 0, 1: 0}
    store.close()


@pytest.mark.parametrize("something_comes", [True, False])
def test_a_copy_is_as_young_as_its_last_confirmation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, something_comes: bool
) -> None:
    """All that there was at that time is in it, whether or not anything came since."""
    clock = [time.time()]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    fill(tmp_path / "store")
    clock[0] += 19 * 3_600
    store = SuppressionsOnDisk(tmp_path / "store")
    store.resume("topic", ENDS)
    store.confirm(int(clock[0]))
    if something_comes:
        store.save({0: 20})
    store.close()
    clock[0] += 19 * 3_600
    store = SuppressionsOnDisk(tmp_path / "store")
    assert store.resume("topic", ENDS)[0] == (20 if something_comes else 10)
    store.close()


def test_a_killed_writer_leaves_entries_and_offsets_that_agree(tmp_path: Path) -> None:
    """Of what was saved, a kill may take the latest batches, each with the offsets that it reached."""
    store = SuppressionsOnDisk(tmp_path / "live")
    store.resume("topic", ENDS)
    world = World(suppressions=store)
    for number in range(200):
        put(world, entry(address=f"1-{number:02x}"))
        store.save({0: number + 1})
        if number == 120:
            store._store.flush()
    shutil.copytree(tmp_path / "live", tmp_path / "killed")  # what a kill at this moment leaves
    left = SuppressionsOnDisk(tmp_path / "killed")
    reached = left.resume("topic", ENDS)[0]
    assert 121 <= reached <= 200
    assert [n for n in range(200) if left.entries(f"1-{n:02x}")] == list(range(reached))
    store.close()
    left.close()


def test_damage_is_no_answer(tmp_path: Path) -> None:
    """A block that can't be read raises, never "not suppressed"; opened again, the copy is empty and starts over."""
    store = SuppressionsOnDisk(tmp_path / "s")
    store.resume("topic", ENDS)
    for number in range(2_000):
        put(World(suppressions=store), entry(address=f"1-{number:04}", source=secrets.token_hex(50)))
    store.save({0: 10})
    store.close()
    (file,) = (tmp_path / "s").glob("*.sst")
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(content[:middle] + b"\xff" * 4_096 + content[middle + 4_096 :])
    store = SuppressionsOnDisk(tmp_path / "s")
    raised = 0
    for number in range(2_000):
        try:
            assert len(list(store.entries(f"1-{number:04}"))) == 1
        except StoreDamagedError:
            raised += 1
    assert 0 < raised < 2_000
    store.close()
    store = SuppressionsOnDisk(tmp_path / "s")
    assert store.resume("topic", ENDS) == {0: 0, 1: 0}
    assert not store
    store.close()


def test_a_copy_that_does_not_know_how_far_it_is_begins_anew(tmp_path: Path) -> None:
    """Damage where the offsets lie."""
    fill(tmp_path / "store")
    (file,) = (tmp_path / "store").glob("*.sst")
    file.write_bytes(b"\xff" * 64 + file.read_bytes()[64:])
    store = SuppressionsOnDisk(tmp_path / "store")
    assert store.resume("topic", ENDS) == {0: 0, 1: 0}
    assert not store
    store.close()


def test_a_folder_in_use_is_named(tmp_path: Path) -> None:
    """Two processes of one name: the second waits a while, then says what to do."""
    store = open_store(tmp_path / "s")
    with pytest.raises(StoreLockedError, match=r"s is in use by another process .* end one"):
        open_store(tmp_path / "s", wait_s=0.3)
    store.close()
    open_store(tmp_path / "s").close()


@pytest.mark.parametrize("broken", ["CURRENT", "*.sst", "MANIFEST-*"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_store_that_can_not_be_opened_begins_anew(tmp_path: Path, broken: str, how: str) -> None:
    """A torn or missing file needs no human: the store opens, empty."""
    store = open_store(tmp_path)
    store.put(b"a", b"1")
    store.close()
    file = next(tmp_path.glob(broken))
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    store = open_store(tmp_path)
    assert store.get(b"a") is None
    store.put(b"a", b"2")
    assert store.get(b"a") == b"2"
    store.close()
