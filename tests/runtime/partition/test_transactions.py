"""Fenced transactions: all of a batch or nothing, by one owner only."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from streams.runtime.errors import FencedError, RecordRefusedError, TransactionAbortedError
from streams.runtime.observer import Observer
from streams.runtime.partition import group_offsets
from streams.runtime.partition.fenced import TRANSACTION_TIMEOUT_MS
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.partition.transactions import FencedProducer
from streams.runtime.settings import Settings
from tests.runtime.builders import deployed, read, until

pytestmark = pytest.mark.integration

OUT = "sends.marketing"
STATE = "gate-state"
# What a dead owner may delay readers (DESIGN.md, G6): TRANSACTION_TIMEOUT_MS, and the second between two looks of the
# broker for transactions that have timed out.
DELAY_S = 6.0
# Each on a partition of its own.
OWNERS = 2
# An owner in an open transaction, which waits to be killed.
DIES = """
import signal, sys
from streams.runtime.settings import KafkaSettings
from streams.runtime.partition.transactions import FencedProducer

bootstrap, prefix, topic, partition = sys.argv[1:]
producer = FencedProducer(KafkaSettings(bootstrap=bootstrap, prefix=prefix), f"{prefix}gate-{partition}")
while not producer.fence():
    pass
raw = producer._producer
sys.stdin.readline()
raw.begin_transaction()
raw.produce(topic, b"half", key=b"k", partition=int(partition))
assert raw.flush(30) == 0
print("open", flush=True)
signal.pause()
"""


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path)


class Owner:
    """A partition's producer, and the group whose offsets it commits."""

    def __init__(self, settings: Settings, *, partition: int = 0) -> None:
        self._settings = settings
        self.group = GroupOffsets(settings.kafka, f"{settings.kafka.prefix}gate")
        self.producer = FencedProducer(settings.kafka, f"{settings.kafka.prefix}gate-{partition}")
        until(self.producer.fence, "a broker that has just started fences")

    def commit(self, *values: bytes, offset: int) -> int | None:
        """One batch: these records, one state change, and the source's offset."""
        topic = self._settings.topic
        records = [Record(topic=topic(OUT), key=b"k", value=value, partition=0) for value in values]
        records.append(Record(topic=topic(STATE), key=b"s", value=b"%d" % offset, partition=0))
        offsets = {(topic("recipients.marketing"), 0): offset}
        return self.producer.commit(records, offsets, self.group, changelog=topic(STATE))

    def stable(self) -> int:
        """The source's committed offset."""
        name = self._settings.topic("recipients.marketing")
        found = self.group.stable([name], 0)
        assert found is not None
        return found[name]


def test_a_batch_becomes_visible_whole_with_its_offset(settings: Settings) -> None:
    """Records, changelog and source offset; what comes back is the changelog's last offset."""
    owner = Owner(settings)
    assert owner.stable() == 0
    assert owner.commit(b"1", b"2", offset=7) == 0
    assert owner.commit(b"3", offset=8) == 2  # 1 is the first transaction's marker
    assert [message.value() for message in read(settings, OUT)] == [b"1", b"2", b"3"]
    assert owner.stable() == 8


def test_an_abort_leaves_nothing_and_the_next_batch_goes(settings: Settings) -> None:
    """A record that the broker refuses takes its whole batch along: no record, no state, no offset."""
    owner = Owner(settings)
    owner.commit(b"before", offset=1)
    noise = random.Random(1).randbytes(2_000_000)  # above the topic's 1 MB, and does not compress
    with pytest.raises(TransactionAbortedError, match="aborted"):
        owner.commit(b"good", noise, offset=2)
    assert owner.stable() == 1
    aborts = 0
    while True:  # as the partition loop does: librdkafka may need an epoch more before it goes on
        try:
            owner.commit(b"after", offset=3)
            break
        except TransactionAbortedError:
            aborts += 1
            assert aborts < 5
    assert [message.value() for message in read(settings, OUT)] == [b"before", b"after"]
    assert [message.value() for message in read(settings, STATE)] == [b"1", b"3"]


def test_the_second_owner_shuts_the_first_out(settings: Settings) -> None:
    """A zombie's commit changes nothing: neither records nor offset."""
    zombie = Owner(settings)
    zombie.commit(b"mine", offset=1)
    successor = Owner(settings)
    with pytest.raises(FencedError, match=r"gate-0 is fenced"):
        zombie.commit(b"late", offset=2)
    assert successor.stable() == 1
    successor.commit(b"next", offset=2)
    assert [message.value() for message in read(settings, OUT)] == [b"mine", b"next"]


def test_a_successor_ends_what_the_first_left_open(settings: Settings) -> None:
    """Readers don't wait for a dead owner's transaction once somebody has taken over."""
    dead = Owner(settings)
    raw = dead.producer._producer
    raw.begin_transaction()
    raw.produce(settings.topic(OUT), b"half", key=b"k", partition=0)
    assert raw.flush(30) == 0
    assert len(read(settings, OUT, isolation="read_uncommitted")) == 1
    Owner(settings).commit(b"whole", offset=1)
    assert [message.value() for message in read(settings, OUT)] == [b"whole"]


@pytest.mark.alone
def test_a_dead_owner_delays_readers_of_others_for_six_seconds_at_most(settings: Settings, tmp_path: Path) -> None:
    """From SIGKILL in an open transaction, which nobody takes over, to a stable end that has passed it (KIP-98).

    What another owner wrote behind it is read then.
    """
    program = tmp_path / "dies.py"
    program.write_text(DIES, encoding="utf-8")
    topic, kafka = settings.topic(OUT), settings.kafka
    observer = Observer(kafka, f"{kafka.prefix}aside")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    others = Owner(settings, partition=OWNERS)
    with contextlib.ExitStack() as children:
        owners = [
            children.enter_context(
                subprocess.Popen([sys.executable, program, str(kafka.bootstrap), kafka.prefix, topic, str(n)], **pipes)
            )
            for n in range(OWNERS)
        ]
        children.callback(lambda: [owner.kill() for owner in owners])
        died: dict[tuple[str, int], float] = {}
        for number, owner in enumerate(owners):
            owner.stdin.write(b"begin\n")
            owner.stdin.flush()
            assert owner.stdout.readline() == b"open\n"
            died[topic, number] = time.monotonic()
            owner.kill()
    behind = [Record(topic=topic, key=b"k", value=b"behind", partition=number) for number in range(OWNERS)]
    others.producer.commit(behind, {}, others.group, changelog="")
    assert read(settings, OUT) == []
    ends = observer.ends(list(died), "high")
    took: dict[tuple[str, int], float] = {}

    def have_passed() -> bool:
        for place, stable in observer.ends(list(died), "stable").items():
            if stable >= ends[place]:
                took.setdefault(place, time.monotonic() - died[place])
        return len(took) == OWNERS

    until(have_passed, "the stable ends behind the dead owners")
    observer.close()
    assert [message.value() for message in read(settings, OUT)] == [b"behind"] * OWNERS
    sys.stdout.write(f"\ndead owners delayed readers for {', '.join(f'{one:.2f}' for one in took.values())} s\n")
    assert min(took.values()) > TRANSACTION_TIMEOUT_MS / 1000 - 1  # they were open: nothing else ended them
    assert max(took.values()) <= DELAY_S


def test_a_stable_offset_is_waited_for_longer_than_one_ask(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a transaction is pending on the offset, nobody knows it; it is told once the transaction ends."""
    owner = Owner(settings)
    owner.commit(b"before", offset=3)
    raw = owner.producer._producer
    raw.begin_transaction()
    raw.produce(settings.topic(OUT), b"half", key=b"k", partition=0)
    position = TopicPartition(settings.topic("recipients.marketing"), 0, 7)
    raw.send_offsets_to_transaction([position], owner.group.metadata(), 10)
    group = GroupOffsets(settings.kafka, f"{settings.kafka.prefix}gate")
    monkeypatch.setattr(group_offsets, "STABLE_ASK_S", 1.0)
    assert group.stable([position.topic], 0) is None
    until(lambda: group.stable([position.topic], 0) == {position.topic: 3}, "the offset before the dead transaction")
    group.close()


def test_a_commit_that_raises_within_a_report_is_a_fence(settings: Settings) -> None:
    """confluent-kafka tells a fatal error by whichever exception CPython leaves it."""
    zombie = Owner(settings)
    zombie.commit(b"mine", offset=1)
    Owner(settings)
    for _ in range(3):  # once fenced, for good
        with pytest.raises(FencedError):
            zombie.commit(*[b"late"] * 2_000, offset=2)
    zombie.producer.close()


def test_a_record_that_can_not_even_be_handed_over_is_refused_like_any_other(settings: Settings) -> None:
    """A number for a value, a header that is no text: nothing of the batch happens, and the next one goes."""
    owner, topic = Owner(settings), settings.topic(OUT)
    bad: list[dict[str, Any]] = [
        {"value": 5},
        {"value": "\ud800"},
        {"headers": {"name": 5}},
        {"headers": {"\ud800": b"value"}},  # confluent-kafka would end the process
        {"partition": 2**40},
    ]
    for offset, wrong in enumerate(bad, 1):
        good = Record(topic=topic, key=b"k", value=b"good", partition=0)
        record = Record(topic=topic, **({"key": b"k", "value": b"v", "partition": 0} | wrong))
        with pytest.raises(RecordRefusedError, match=r"a record for .* can't be produced"):
            owner.producer.commit([good, record], {}, owner.group, changelog="")
        owner.commit(b"after %d" % offset, offset=offset)
    assert [message.value() for message in read(settings, OUT)] == [b"after %d" % n for n in range(1, len(bad) + 1)]
    assert owner.stable() == len(bad)
