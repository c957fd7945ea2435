"""A batch decided: each event whole or not at all, and an error of ours is that event's end, never the worker's (G8).

1. An event is tried `worker.tries` times, each time from a clean savepoint.
2. What failed every time is rejected (a final outcome beside a dead letter, as the decider sees fit).
3. What can't even be rejected is buried: a dead letter alone.
4. An event whose records no broker would take (a batch halved down to it showed that) begins at step 2, then at 3.

What a batch comes to is said, not done: records for its transaction, and how many events failed, for the fuse.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

import structlog

from schemas.topics import DEAD_LETTERS
from streams.runtime import metrics
from streams.runtime.dead_letters import Failure
from streams.runtime.partition.record import Record
from streams.runtime.partition.stateless import NoTable
from streams.runtime.settings import Settings
from streams.runtime.state.local_store import StoreError
from streams.runtime.state.tables import PartitionTable

log = structlog.get_logger(__name__)

_DEAD_LETTERS: Final = DEAD_LETTERS.name
# Tracebacks of one batch that are logged in full; a deploy that fails for all would drown its reason in its like.
TOLD: Final = 3


@dataclass(frozen=True, kw_only=True)
class Received:
    """A source record, by its topic's declared name."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


class Output(Protocol):
    """A record to emit, by its topic's declared name."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None
    headers: Mapping[str, bytes]


class Decider(Protocol):
    """The pure logic of the partition, over its table."""

    def receive(self, received: Received, now: datetime) -> Sequence[Any]:
        """Decide one event."""

    def reject(self, received: Received, now: datetime, failure: Failure) -> Sequence[Any]:
        """Say what becomes of an event whose decision raised."""

    def bury(self, received: Received, failure: Failure) -> Any:
        """The dead letter of an event that can't even be rejected."""

    def release(self, now: datetime, *, limit: int) -> Sequence[Any]:
        """Decide what waited and is due."""

    def next_release(self, now: datetime) -> datetime | None:
        """When something that waits is due."""


@dataclass(kw_only=True)
class Refused:
    """An event whose own records the broker refuses: it is rejected, and where that is refused too, buried."""

    message: Any
    failure: Failure
    end: Literal["rejected", "buried"] = "rejected"


@dataclass(kw_only=True)
class Decided:
    """What a batch comes to."""

    records: list[Record] = field(default_factory=list)
    failed: int = 0
    # Seconds that the events took, without what waited.
    events_s: float = 0.0
    # Outputs and source events of dead letters, counted by declared topic once they are committed.
    letters: dict[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.records


class Deciding:
    """Decides the batches of one partition, over one table and the decider that was made for it."""

    def __init__(
        self,
        table: PartitionTable | NoTable,
        make_decider: Callable[[Any], Decider],
        *,
        partition: int,
        settings: Settings,
        names: Mapping[str, str],
        changelog: str | None,
    ) -> None:
        """`names` maps full source topics to declared names."""
        self._table = table
        self._make_decider = make_decider
        self._decider = make_decider(table)
        self._partition = partition
        self._names = names
        self._tries = settings.worker.tries
        self._prefix = settings.kafka.prefix
        self._changelog = changelog
        self._failures = {name: metrics.FAILURES.labels(name) for name in names.values()}

    def begin_anew(self) -> None:
        """Forget what the last batch wrote and remembered: it did not happen."""
        self._table.discard()
        self._decider = self._make_decider(self._table)

    def next_release(self, now: datetime) -> datetime | None:
        """When something that waits is due."""
        return self._decider.next_release(now)

    def decide(self, batch: Sequence[Any], now: datetime, *, release: int, refused: Refused | None) -> Decided:
        """Decide these messages, then what waited, at most `release` of it."""
        decided = Decided()
        outputs: list[Any] = []
        began = time.monotonic()
        for message in batch:
            received = Received(
                topic=self._names[message.topic],
                partition=message.partition,
                offset=message.offset,
                key=message.key,
                value=message.value,
                headers=dict(message.headers or ()),
            )
            if refused is not None and message is refused.message:
                decided.failed += 1
                end = self._rejected if refused.end == "rejected" else self._buried
                outputs += end(received, now, refused.failure)
            else:
                outputs += self._guarded(received, now, decided)
        decided.events_s = time.monotonic() - began
        if decided.failed > TOLD:
            log.error("more events could not be decided", partition=self._partition, events=decided.failed - TOLD)
        if release:
            with self._table.savepoint():
                outputs += self._decider.release(now, limit=release)
        for topic, offset in _ends(batch).items():
            self._table.reach(self._names[topic], offset)
        if self._changelog is not None:
            decided.records = [
                Record(topic=self._changelog, key=key, value=value, partition=self._partition)
                for key, value in self._table.changes()
            ]
        self._sort(outputs, decided)
        return decided

    def _sort(self, outputs: Sequence[Any], decided: Decided) -> None:
        for output in outputs:
            record = Record(
                topic=self._prefix + output.topic,
                key=output.key,
                value=output.value,
                partition=output.partition,
                headers=output.headers,
            )
            decided.records.append(record)
            if output.topic == _DEAD_LETTERS:
                source = (output.headers.get("source-topic") or b"").decode()
                decided.letters[source] = decided.letters.get(source, 0) + 1

    def _guarded(self, received: Received, now: datetime, decided: Decided) -> Sequence[Any]:
        tried = 0
        while True:
            try:
                with self._table.savepoint():
                    return self._decider.receive(received, now)
            except StoreError:  # not this event's fault: the worker ends, and begins with a whole copy
                raise
            except Exception as error:
                tried += 1
                self._failures[received.topic].inc()
                if tried < self._tries:
                    continue
                if decided.failed < TOLD:
                    where = {"topic": received.topic, "partition": received.partition, "offset": received.offset}
                    log.exception("event could not be decided", **where, tries=tried)
                failure = Failure(error=error, tries=tried)
            decided.failed += 1
            return self._rejected(received, now, failure)

    def _rejected(self, received: Received, now: datetime, failure: Failure) -> Sequence[Any]:
        try:
            with self._table.savepoint():
                return self._decider.reject(received, now, failure)
        except StoreError:
            raise
        except Exception:
            log.exception("event could not be rejected either", topic=received.topic, offset=received.offset)
        return self._buried(received, now, failure)

    def _buried(self, received: Received, _: datetime, failure: Failure) -> Sequence[Any]:
        return [self._decider.bury(received, failure)]


def _ends(batch: Sequence[Any]) -> dict[str, int]:
    """Behind the last event of each topic."""
    return {message.topic: message.offset + 1 for message in batch}
