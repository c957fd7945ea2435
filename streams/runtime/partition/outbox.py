"""What a slot's owner says to Kafka, in a transaction that stays open (DESIGN.md, choice 9).

**Facts** are so from the moment that the broker has them, committed or not: intents.  **Effects** count once they are
committed: deliveries, returns, and with them the lanes' offsets and the checkpoint.

1. What is said goes out at once, into the open transaction, in the order in which it was said.
2. It is committed about once a second, sooner where nothing is under way.  For that moment nothing more goes out: what
   is said meanwhile waits.  The owner says where it stands; that checkpoint is written, the group's offsets go with the
   checkpoint's own offset, and the owner's note, as their metadata, and all of it is committed.  So the checkpoint has
   exactly the effects that are committed with it.
3. An error that can be aborted (a broker away, one record refused), while the group confirms the owner: once the abort
   is confirmed, nothing of the transaction counts.  All effects since the last commit go out again from memory, before
   anything new.  Facts that were not on the broker fail with TransactionAbortedError; those that were stay so.
4. Fenced, not confirmed, or a commit of which nobody can say whether it happened: all fails with FencedError, also what
   is said later.  Nothing goes out again; who takes the slot next reads what counts.

Why an abort needs a confirmed owner: where nothing of a transaction got to the broker, librdkafka aborts by asking for
a new epoch (KIP-360), and the coordinator ends whatever transaction is open then, without a look at the epoch asked
from (Kafka 4.1).  A process that woke up late would end its successor's, and shut it out.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.runtime import metrics
from streams.runtime.errors import FencedError, RecordRefusedError, TransactionAbortedError
from streams.runtime.partition.fenced import CALL_S, COMMIT_ASKS, LATE_S, TRANSACTION_TIMEOUT_MS
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.own_thread import within
from streams.runtime.partition.record import Record
from streams.runtime.partition.said import Effects, Fact
from streams.runtime.partition.streaming_producer import StreamingProducer

log = structlog.get_logger(__name__)

# How often it is looked whether nothing is under way: a commit costs the broker the same with one record in it.
LOOK_S: Final = 0.25
# What effects wait for may keep the transaction open so long since its first record: the broker's timer ends it at 5 s,
# which looks like a fence.  Then it is aborted, and said again.
OPEN_S: Final = 3.0
# librdkafka gives a record up when the transaction's time is over.
SETTLE_S: Final = TRANSACTION_TIMEOUT_MS / 1000 + LATE_S
# Offsets once, then the commit asked for four times, or the abort, 5 s each, and the next begin.
END_LIMIT_S: Final = (1 + 2 * COMMIT_ASKS) * CALL_S + 3 * LATE_S
# After an abort, doubled with each in a row: a broker that restarts is away for seconds.
BACK_OFF_S: Final = (0.05, 2.0)
# Beyond it the wait is the longest anyway, and after 1,024 aborts (an hour or two) the power is no float any more.
DOUBLED: Final = 16
# Effects that are said and not committed, until the owner is to begin nothing more: a second of a fast slot is a tenth
# of it, and said again after an abort, three records each, they stay below librdkafka's queue of 100,000.
FULL: Final = 10_000
# The last transaction is said again for so long; what is left then is redone by whoever takes the slot next.
LAST_S: Final = 15.0


def back_off_s(aborts: int) -> float:
    """How long to wait before the transaction that follows so many aborts in a row."""
    first, longest = BACK_OFF_S
    return min(longest, first * 2.0 ** min(aborts, DOUBLED))


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where the owner stands: a checkpoint to write, and the offset (next to be done) of each lane, by full name.

    `notes`: what each lane's metadata says behind the checkpoint's offset.  `committed` is told once it is.
    """

    checkpoint: Record
    offsets: Mapping[tuple[str, int], int]
    notes: Mapping[tuple[str, int], str] = field(default_factory=dict)
    committed: Callable[[], None] = lambda: None


def _heard(after: asyncio.Future[object]) -> None:
    """Its error is met at the next commit; where there is none any more, it is no news for the log."""
    if not after.cancelled():
        after.exception()


class Outbox:
    """One slot's.  Used from one event loop."""

    def __init__(
        self,
        producer: StreamingProducer,
        *,
        group: GroupOffsets,
        name: str,
        position: Callable[[], Position],
        is_owner: Callable[[], Awaitable[bool]],
        idle: Callable[[], bool] = lambda: False,
        every_s: float = 1.0,
    ) -> None:
        """`producer` is fenced already, and closed by who took it.

        `is_owner`: the group confirms the assignment.  `idle`: nothing is under way, so commit.
        """
        self._producer = producer
        self._group = group
        self._name = name
        self._position = position
        self._is_owner = is_owner
        self._idle = idle
        self._every_s = every_s
        self._open = False
        self._since: float | None = None  # when the first record of the transaction was said
        self._moved = False  # while a commit was under way, which may not hold it
        self._failure: KafkaError | None = None
        self._given_up: str | None = None
        self._end_by: float | None = None
        self._facts: set[Fact] = set()  # sent, and not on the broker yet
        self._effects: list[Effects] = []  # since the last commit
        self._waiting: list[Fact | Effects] = []
        self._afters: set[asyncio.Future[object]] = set()
        self._written: Counter[str] = Counter()
        self._aborts = 0
        self._stirred = asyncio.Event()
        self._done = asyncio.Event()
        self._done.set()

    # ── what the owner says ──────────────────────────────────────────────────────────────────────────────────────────

    def fact(self, record: Record) -> "asyncio.Future[int]":
        """Say a fact; the future gives its offset once it is on the broker.

        It raises TransactionAbortedError where the fact may not have got there, though the slot is ours (say it anew);
        RecordRefusedError, one of those, where it never will; FencedError where the slot is not ours any more.  A
        future that is cancelled while it waits for a commit takes its fact back.
        """
        fact = Fact(self, record)
        if self._given_up is not None:
            fact.fail(FencedError(self._name, self._given_up))
        else:
            self._say(fact)
        return fact.future

    def effects(
        self,
        records: Sequence[Record],
        *,
        refused: Callable[[KafkaException], Sequence[Record]],
        after: Awaitable[object] | None = None,
    ) -> None:
        """Say what comes of a send: committed all together, once.

        `refused` gives what stands in for all of `records` where no broker takes one of them; `after` must be done
        before they are committed.  Raises FencedError where the slot is not ours any more: they will never be.
        """
        if self._given_up is not None:
            raise FencedError(self._name, self._given_up)
        if after is not None:
            following = asyncio.ensure_future(after)
            following.add_done_callback(_heard)
            self._afters.add(following)
        self._say(Effects(self, records, refused))

    def moved(self) -> None:
        """The position is another, without effects: have it committed."""
        if self._open:
            self._began()
        else:
            self._moved = True

    @property
    def full(self) -> bool:
        """Whether so much waits to be committed that the owner is to begin nothing more."""
        return len(self._effects) + len(self._waiting) >= FULL

    def _say(self, what: Fact | Effects) -> None:
        if self._open:
            self._hand_over(what)
        else:
            self._waiting.append(what)

    def _hand_over(self, what: Fact | Effects) -> None:
        if isinstance(what, Effects):
            self._effects.append(what)
        elif what.future.done():  # cancelled: taken back
            return
        else:
            self._facts.add(what)
        self._send(what)

    def _send(self, what: Fact | Effects) -> None:
        if self._since is None:
            self._began()
        try:
            for record in what.records:
                self._producer.send(record, what)
                self._written[record.topic] += 1
        except KafkaException as error:
            what.failed(error.args[0])

    def _began(self) -> None:
        if self._since is None:
            self._since = time.monotonic()
            self._stirred.set()

    def durable(self, fact: Fact) -> None:
        """Told by a fact: it is on the broker."""
        self._facts.discard(fact)

    def broken(self, error: KafkaError) -> None:
        """Told by what failed: the transaction can't be committed; what is said from now on is for the next."""
        self._open = False
        if self._failure is None:
            self._failure = error
            self._stirred.set()

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Commit, until `end`.  Raises FencedError where the slot is to be taken anew."""
        self._done.clear()
        try:
            await self._blocking(self._producer.begin)
            self._go_out()
            while await self._due():
                try:
                    await self._commit()
                except TransactionAbortedError as error:
                    await self._begin_anew(error)
            self._give_up("the outbox has ended")
        except FencedError:
            metrics.TRANSACTIONS.labels("fenced").inc()
            raise
        finally:
            self._give_up("the slot was given up")
            self._done.set()

    async def end(self) -> None:
        """While it runs: commit what was said, and take no more; `run` then returns, or raises what it met."""
        self._end_by = time.monotonic() + LAST_S
        self._stirred.set()
        await self._done.wait()

    def close(self) -> None:
        """Give up: nothing more is committed of it."""
        self._give_up("the outbox was closed")

    async def _due(self) -> bool:
        """Wait until there is something to commit, or to abort; False where all is done."""
        while self._given_up is None:
            self._stirred.clear()
            if self._failure is not None:
                return True
            if self._end_by is not None:
                return self._since is not None
            if self._since is None:
                await self._stirred.wait()
                continue
            age = time.monotonic() - self._since
            if age >= self._every_s or (age >= LOOK_S and self._idle()):
                return True
            await self._stir(min(LOOK_S, self._every_s - age))
        return False

    async def _stir(self, limit_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._stirred.wait()

    async def _commit(self) -> None:
        await self._followed()
        self._open = False  # in the same turn: nothing is said between the position and the checkpoint that tells it
        began = time.monotonic()
        position = self._position()
        checkpoint = Fact(self, position.checkpoint)
        self._hand_over(checkpoint)
        settled = await self._producer.settled(SETTLE_S)
        if not settled or self._failure is not None:
            late = KafkaError(KafkaError._MSG_TIMED_OUT)  # noqa: SLF001  # librdkafka's name for it
            aborted = await self._given_back(self._failure or late)
            raise aborted if checkpoint.refusal is None else RecordRefusedError(self._name, str(checkpoint.refusal))
        named = str(checkpoint.future.result())
        positions = [
            TopicPartition(*place, offset, named + position.notes.get(place, ""))
            for place, offset in position.offsets.items()
        ]

        def ended() -> None:
            self._producer.end(positions, self._group)
            self._producer.begin()

        await within(ended, limit_s=END_LIMIT_S, name=self._name)
        self._committed(began)
        position.committed()
        self._go_out()

    async def _followed(self) -> None:
        """Wait for what the effects wait for, as long as the broker lets the transaction stand open."""
        while self._failure is None:
            done = {after for after in self._afters if after.done()}
            for after in done:
                if (error := after.exception()) is not None:
                    raise FencedError(self._name, f"what effects wait for did not come about: {error}")
            self._afters -= done
            if not self._afters:
                return
            limit = OPEN_S + (self._since or time.monotonic()) - time.monotonic()
            if limit <= 0:
                late = KafkaError(KafkaError._TIMED_OUT, "what effects wait for takes long")  # noqa: SLF001  # as above
                self.broken(late)
            else:
                await asyncio.wait(self._afters, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        raise await self._given_back(self._failure)

    async def _given_back(self, cause: KafkaError) -> TransactionAbortedError:
        self._open = False
        if not await self._is_owner():
            raise FencedError(self._name, f"it may be another's, whose transaction an abort could end: {cause}")
        await within(lambda: self._producer.give_back(cause), limit_s=END_LIMIT_S, name=self._name)
        return TransactionAbortedError(self._name, str(cause))

    async def _begin_anew(self, error: TransactionAbortedError) -> None:
        """Behind a confirmed abort: fail what was not there, and say again what counts only when committed."""
        metrics.TRANSACTIONS.labels("aborted").inc()
        log.warning("transaction aborted, its effects are said again", name=self._name, error=str(error))
        if isinstance(error, RecordRefusedError):  # the checkpoint: another one would be refused as well
            raise error
        self._producer.forget()
        for fact in self._facts:
            refused = fact.refusal is not None
            fact.fail((RecordRefusedError if refused else TransactionAbortedError)(self._name, str(self._failure)))
        self._facts.clear()
        self._written.clear()
        self._since = self._failure = None
        if self._end_by is not None and time.monotonic() > self._end_by:
            raise FencedError(self._name, f"its last transaction does not go: {error}")
        if not [effects for effects in self._effects if effects.replace(self._name)]:
            await asyncio.sleep(back_off_s(self._aborts))
            self._aborts += 1
        await self._blocking(self._producer.begin)
        self._go_out()

    def _committed(self, began: float) -> None:
        metrics.TRANSACTIONS.labels("committed").inc()
        metrics.COMMIT_SECONDS.observe(time.monotonic() - began)
        for topic, records in self._written.items():
            metrics.OUTPUTS.labels(topic.removeprefix(self._producer.prefix)).inc(records)
        self._written.clear()
        self._effects.clear()
        self._since = None
        self._aborts = 0

    def _go_out(self) -> None:
        """Open the gate: first what was said before an abort, then what waited."""
        self._open = self._given_up is None
        for effects in list(self._effects):
            if self._open:
                self._send(effects)
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            self._say(what)
        if self._moved and self._open:
            self._moved = False
            self._began()

    def _give_up(self, reason: str) -> None:
        if self._given_up is not None:
            return
        self._given_up = reason
        self._open = False
        waiting = [what for what in self._waiting if isinstance(what, Fact)]
        for fact in [*self._facts, *waiting]:
            fact.fail(FencedError(self._name, reason))
        self._facts.clear()
        self._effects.clear()
        self._waiting.clear()
        self._stirred.set()

    async def _blocking(self, call: Callable[[], None]) -> None:
        await within(call, limit_s=CALL_S, name=self._name)
