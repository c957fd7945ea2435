"""Owners of partitions: how quickly what Faust has fetched reaches them, and that nothing passes them by."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from faust.events import Event
from faust.types import TP, Message

from streams.runtime.app import EvenpostApp, make_app
from streams.runtime.errors import LostEventError, OwnerStuckError
from streams.runtime.life.worker import _vitals
from streams.runtime.partition import ownership as ownership_module
from streams.runtime.partition.ownership import HIGH, LOW, Ownership
from streams.runtime.settings import KafkaSettings, Settings

RECORDS = 500


def event(app: EvenpostApp, offset: int, *, generation: int = 0, topic: str = "t.sends") -> Event:
    """A record of the one partition, fetched so many generations ago."""
    message = Message(
        topic=topic, partition=0, offset=offset, timestamp=0.0, timestamp_type=0, headers={},
        key=None, value=b"", checksum=None, generation_id=app.consumer_generation_id - generation,
    )  # fmt: skip
    return Event(app, None, offset, None, message)


class Inbox:
    """An owner that only takes."""

    def __init__(self, waiting: dict[str, int] | None = None) -> None:
        self.taken: list[int] = []
        self.waiting = waiting or {}
        self.ready = True

    def positions(self) -> None:
        """Nothing is committed here."""

    async def run(self) -> None:
        """Nothing to do."""

    def put(self, message: Any) -> None:
        """Take it."""
        self.taken.append(message.offset)

    def backlog(self, topic: str) -> int:
        """What the test says."""
        return self.waiting.get(topic, 0)

    async def stop(self) -> None:
        """Nothing to finish."""


async def test_what_a_channel_holds_is_handed_over_in_a_few_turns_of_the_loop(tmp_path: Path) -> None:
    """Faust's own iterator gives one record a turn, and a busy sender's turn is long; stale records are dropped."""
    app = make_app(
        "sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="sender-0"
    )
    app.flow_control.resume()
    inbox = Inbox()
    ownership = Ownership(app, lambda _: inbox)
    await ownership._assigned({TP("t.sends", 0)})
    channel = app.channel()
    taking = asyncio.create_task(ownership.take_from(app.stream(channel)))
    await asyncio.sleep(0)
    await channel.put(event(app, 0))
    async with asyncio.timeout(10):
        while not inbox.taken:  # noqa: ASYNC110  # Faust starts the stream in its own time
            await asyncio.sleep(0.01)
    await channel.put(event(app, RECORDS, generation=1))
    for offset in range(1, RECORDS):
        await channel.put(event(app, offset))
    await channel.put(event(app, RECORDS, generation=1))
    turns = 0
    while len(inbox.taken) < RECORDS:
        await asyncio.sleep(0)
        turns += 1
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert inbox.taken == list(range(RECORDS))
    assert turns < 20


async def test_a_full_lane_pauses_itself_alone(tmp_path: Path) -> None:
    """Marketing that waits in thousands keeps no transactional send from being fetched (G6)."""
    app = make_app(
        "sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="sender-0"
    )
    inbox = Inbox({"t.marketing": HIGH})
    ownership = Ownership(app, lambda _: inbox)
    lanes = {TP("t.marketing", 0), TP("t.transactional", 0)}
    await ownership._assigned(lanes)
    app.consumer._set_active_tps(lanes)
    for topic in ("t.marketing", "t.transactional"):
        ownership.hand_over(event(app, 0, topic=topic).message)
    assert app.consumer._get_active_partitions() == {TP("t.transactional", 0)}
    inbox.waiting["t.marketing"] = LOW
    ownership.resume(inbox, 0)
    assert app.consumer._get_active_partitions() == lanes


class Failing(Inbox):
    """An owner that can't stop in order."""

    async def stop(self) -> None:
        """Fail at it."""
        raise ConnectionError("no")


def toy_app(tmp_path: Path) -> EvenpostApp:
    """An app that reaches no broker."""
    return make_app(
        "sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="sender-0"
    )


async def test_an_event_that_comes_before_its_owner_waits_for_it(tmp_path: Path) -> None:
    """What the new assignment's fetch brings early is handed over; what an earlier one had fetched is not."""
    app = toy_app(tmp_path)
    inbox = Inbox()
    ownership = Ownership(app, lambda _: inbox)
    ownership.hand_over(event(app, 6, generation=1).message)
    ownership.hand_over(event(app, 7).message)
    await ownership._assigned({TP("t.sends", 0)})
    assert inbox.taken == [7]


async def test_an_event_without_an_owner_in_its_generation_ends_the_worker(tmp_path: Path) -> None:
    """A later offset would be committed past it."""
    app = toy_app(tmp_path)
    ownership = Ownership(app, lambda _: Inbox())
    ownership.failed = asyncio.get_running_loop().create_future()
    await ownership._assigned({TP("t.sends", 1)})
    ownership.hand_over(event(app, 7, generation=1).message)
    assert not ownership.failed.done()
    ownership.hand_over(event(app, 7).message)
    assert isinstance(ownership.failed.exception(), LostEventError)
    assert "t.sends[0] 7" in str(ownership.failed.exception())


async def test_what_comes_after_a_release_is_the_next_owners(tmp_path: Path) -> None:
    """It is neither taken nor a fault; one owner that fails keeps no other from being stopped."""
    app = toy_app(tmp_path)
    stopped: list[int] = []

    class Counting(Inbox):
        """Counts its ends."""

        async def stop(self) -> None:
            """Once."""
            stopped.append(1)

    owners: list[Inbox] = [Failing(), Counting()]
    ownership = Ownership(app, lambda partition: owners[partition])
    ownership.failed = asyncio.get_running_loop().create_future()
    await ownership._assigned({TP("t.sends", 0), TP("t.sends", 1)})
    await ownership.close()
    assert stopped == [1]
    ownership.hand_over(event(app, 7).message)
    await ownership._assigned({TP("t.sends", 0)})
    assert ownership.partitions == ()
    assert not ownership.failed.done()


async def test_who_closes_while_partitions_are_revoked_waits_for_their_owners(tmp_path: Path) -> None:
    """Else the process would end while a transaction of theirs is being committed."""
    app = toy_app(tmp_path)
    finished = asyncio.Event()

    class Busy(Inbox):
        """Takes its time to stop."""

        async def stop(self) -> None:
            """As long as the test says."""
            await finished.wait()

    ownership = Ownership(app, lambda _: Busy())
    await ownership._assigned({TP("t.sends", 0)})
    revoking = asyncio.create_task(ownership._revoked())
    await asyncio.sleep(0)
    closing = asyncio.create_task(ownership.close())
    done, _ = await asyncio.wait({closing}, timeout=0.05)
    assert not done
    finished.set()
    await asyncio.gather(revoking, closing)


async def test_an_owner_that_never_stops_ends_the_worker_and_not_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others stop, the revocation comes to its end, and no new owner meets what the stuck one holds."""
    monkeypatch.setattr(ownership_module, "STOP_S", 0.1)
    stopped: list[int] = []

    class Stuck(Inbox):
        """Waits for what never comes."""

        async def stop(self) -> None:
            """For ever."""
            await asyncio.Event().wait()

    class Counting(Inbox):
        """Counts its ends."""

        async def stop(self) -> None:
            """Once."""
            stopped.append(1)

    owners: list[Inbox] = [Stuck(), Counting()]
    ownership = Ownership(toy_app(tmp_path), lambda partition: owners[partition])
    ownership.failed = asyncio.get_running_loop().create_future()
    await ownership._assigned({TP("t.sends", 0), TP("t.sends", 1)})
    async with asyncio.timeout(5):
        await ownership._revoked()
    assert stopped == [1]
    assert isinstance(ownership.failed.exception(), OwnerStuckError)
    assert "partition(s) 0 did not stop" in str(ownership.failed.exception())
    await ownership._assigned({TP("t.sends", 0)})
    assert ownership.partitions == ()


async def test_owners_that_stop_are_seen_until_they_have_and_given_nothing(tmp_path: Path) -> None:
    """Else a worker whose revocation hangs would pass for one that stands by, or for a ready one."""
    finish = asyncio.Event()

    class Busy(Inbox):
        """Takes its time to stop."""

        async def stop(self) -> None:
            """As long as the test says."""
            await finish.wait()

    app, busy = toy_app(tmp_path), Busy()
    ownership = Ownership(app, lambda _: busy)
    vitals = _vitals(app, ownership, None, patience_s=60.0)
    assert not ownership.ready
    await ownership._assigned({TP("t.sends", 0)})
    assert [condition.ok for condition in vitals.conditions()] == [True, True, True] and ownership.ready
    app.consumer.stop_flow()
    assert [condition.ok for condition in vitals.conditions()] == [True, True, False]
    app.consumer.resume_flow()
    busy.ready = False
    assert [condition.ok for condition in vitals.conditions()] == [True, False, True] and not ownership.ready
    busy.ready = True
    revoking = asyncio.create_task(ownership._revoked())
    await asyncio.sleep(0)
    assert (ownership.partitions, list(ownership.owners()), ownership.leaving) == ((0,), [busy], 1)
    assert ownership.owner(0) is busy
    owned, *_ = vitals.conditions()
    assert (owned.ok, owned.detail) == (False, "1 partitions are being given back") and not ownership.ready
    ownership.hand_over(event(app, 7).message)
    assert busy.taken == []
    finish.set()
    await revoking
    assert (ownership.partitions, list(ownership.owners()), ownership.leaving) == ((), [], 0)
