"""The worker that is tormented: put together as the gate is, with a decider that counts.

For each event it adds to its person's entry and emits one effect (events.py); some effects wait in the table first.
Told to by a file of its name, it stops itself between a transaction's offsets and its commit: no signal from outside
could hit that moment for sure.
"""

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from streams.operate.chaos.runtime import events
from streams.operate.chaos.runtime.events import DEALING, Effect
from streams.operate.chaos.tally import Tally
from streams.runtime.app import make_app
from streams.runtime.dead_letters import Failure
from streams.runtime.life import worker
from streams.runtime.partition.emission import Emission
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.ownership import Ownership
from streams.runtime.partition.partition_loop import PartitionLoop, Received
from streams.runtime.partition.transactions import FencedProducer
from streams.runtime.settings import Settings
from streams.runtime.state.local_state import state_path
from streams.runtime.state.tables import PartitionTable

WAITING: Final = b"w/"


def tally_folder(settings: Settings) -> Path:
    """Where workers count what they decide."""
    return settings.data_dir / "chaos" / "decided"


def stop_file(settings: Settings, member: str) -> Path:
    """While it is there, the member stops itself in its next commit."""
    return settings.data_dir / "chaos" / f"{member}.stop"


class Counting:
    """The decider."""

    def __init__(self, table: PartitionTable, *, member: str, tally: Tally) -> None:
        self._table = table
        self._member = member
        self._tally = tally

    def receive(self, received: Received, now: datetime) -> Sequence[Emission]:
        """Add to the person's entry; say so now, or a second later."""
        self._tally.add()
        number = int(received.value or b"0")
        key = events.person_key(received.topic, received.key or b"")
        count, chain = events.parsed(self._table.get(key))
        count, chain = count + 1, events.linked(chain, number)
        self._table.put(key, events.entry(count, chain))
        effect = Effect(
            topic=received.topic,
            partition=received.partition,
            offset=received.offset,
            number=number,
            count=count,
            chain=chain.decode(),
            member=self._member,
            pid=os.getpid(),
        )
        if not events.waits(number):
            return [_emission(effect)]
        due = int(now.timestamp() * 1000) + events.WAIT_MS
        place = f"{due:015d}/{effect.topic}/{effect.offset:012d}"
        self._table.put(WAITING + place.encode(), msgspec.json.encode(effect))
        return []

    def reject(self, received: Received, now: datetime, failure: Failure) -> Sequence[Emission]:
        """No event of a run is bad: if one is, its effect is missing, and the audit says so."""
        del received, now, failure
        return []

    def bury(self, received: Received, failure: Failure) -> Emission:
        """As `reject`, for the loop's last resort."""
        value = failure.line.encode()
        return Emission(topic="dead-letters", key=received.key, value=value)

    def release(self, now: datetime, *, limit: int) -> Sequence[Emission]:
        """Emit what waited and is due."""
        until = f"{int(now.timestamp() * 1000):015d}".encode()
        due = [pair for pair in self._table.scan(WAITING, limit=limit) if pair[0][len(WAITING) :][:15] <= until]
        for key, _ in due:
            self._table.delete(key)
        return [_emission(msgspec.json.decode(value, type=Effect)) for _, value in due]

    def next_release(self, now: datetime) -> datetime | None:
        """When the first that waits is due."""
        del now
        for key, _ in self._table.scan(WAITING, limit=1):
            return datetime.fromtimestamp(int(key[len(WAITING) :][:15]) / 1000, UTC)
        return None


def _emission(effect: Effect) -> Emission:
    key = events.person(effect.number).encode()
    value = msgspec.json.encode(effect)
    return Emission(topic=events.OUTPUT, key=key, value=value, partition=effect.partition)


class StoppingProducer(FencedProducer):
    """Stops its process between a transaction's offsets and its commit, once for each time the file is there."""

    stop_at: Path

    def finish(self) -> None:
        """Commit, or stop right before."""
        if self.stop_at.exists():
            self.stop_at.unlink(missing_ok=True)
            structlog.get_logger(__name__).info("stopping itself in a commit", producer=self.transactional_id)
            os.kill(os.getpid(), signal.SIGSTOP)
        super().finish()


class ChaosWorker:
    """The role."""

    def __init__(self, settings: Settings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._tally = Tally(tally_folder(settings), f"{member}-{os.getpid()}")
        self.app = make_app(DEALING, settings, member=member)
        self._offsets = GroupOffsets(settings.kafka, self.app.conf.id)
        self._threads = ThreadPoolExecutor(settings.kafka.gate_partitions, thread_name_prefix=DEALING)
        self.ownership = Ownership(self.app, self._partition)
        for name in events.SOURCES:
            self._source(name)

    def _source(self, name: str) -> None:
        @self.app.agent(self.app.source(name), name=f"{DEALING}-{name}")
        async def source(stream: Any) -> None:
            await self.ownership.take_from(stream)

    def _partition(self, partition: int) -> PartitionLoop:
        return PartitionLoop(
            partition,
            settings=self._settings,
            role=DEALING,
            topics=events.SOURCES,
            changelog=events.CHANGELOG,
            path=state_path(self._settings, self._member, f"{DEALING}-{partition}"),
            group=self._offsets,
            executor=self._threads,
            make_decider=lambda table: Counting(table, member=self._member, tally=self._tally),
            may_decide=lambda: True,
            on_failure=self.ownership.fail,
            on_worked=self.ownership.resume,
            is_owner=self.ownership.confirmed,
            make_producer=lambda: self._producer(partition),
        )

    def _producer(self, partition: int) -> FencedProducer:
        kafka = self._settings.kafka
        made = StoppingProducer(kafka, f"{kafka.prefix}{DEALING}-{partition}")
        made.stop_at = stop_file(self._settings, self._member)
        return made

    async def main(self) -> int:
        """Serve until stopped."""
        readiness = worker.Readiness(self._settings, role=DEALING, member=self._member)
        return await worker.serve(self.app, self.ownership, readiness)


def run(settings: Settings, member: str) -> None:
    """Run one."""
    worker.run(lambda: ChaosWorker(settings, member).main())
