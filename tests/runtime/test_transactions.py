"""Fenced transactions: all of a batch or nothing, by one owner only."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from streams.runtime.errors import FencedError, TransactionAbortedError
from streams.runtime.settings import Settings
from streams.runtime.transactions import FencedProducer, GroupOffsets, Record
from tests.runtime.builders import deployed, read

pytestmark = pytest.mark.integration

OUT = "sends.marketing"
STATE = "gate-state"


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path)


class Owner:
    """A producer of partition 0, and the group whose offsets it commits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.group = GroupOffsets(settings.kafka, f"{settings.kafka.prefix}gate")
        self.producer = FencedProducer(settings.kafka, f"{settings.kafka.prefix}gate-0")
        self.producer.fence()

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
        return self.group.stable([name], 0)[name]


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
