"""One slot of a sender: its two lanes in, attempts, and each outcome made durable.

1. Transactional sends go first.
2. A (send id, deal) that the slot's journal knows was done: its effects are repeated with the same event ids, the
   mail is not.
3. `Attempts.settle` says what became of it.
4. Outcome, delivery, return and suppression are produced at once and awaited; then the source event counts as done.
   What Kafka refuses for what it is (too large) is made short, and the send is a dead letter.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import KafkaException

from schemas import ids, topics
from schemas.events import Egress, Outcome, Rule, Send, Via
from streams.compose.message import Message
from streams.delivery import outcomes
from streams.delivery.attempt import Attempts
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.pool import SlotConnections
from streams.delivery.routes import Router
from streams.delivery.short_outcome import shortened
from streams.runtime.app import EvenpostApp
from streams.runtime.dead_letters import INTERNAL, MALFORMED, DeadLetter, Failure, bury
from streams.runtime.metrics import ATTEMPT_SECONDS, ATTEMPTS, EVENTS, FAILURES, FUSE, OUTCOMES, SUPPRESSED
from streams.runtime.partition.fuse import Fuse
from streams.runtime.partition.transactions import REFUSALS
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from streams.runtime.state.local_state import state_path
from streams.runtime.state.local_store import StoreError
from streams.runtime.state.replication import Replication
from streams.runtime.state.tables import PartitionTable, RecoveryError
from streams.views import World

log = structlog.get_logger(__name__)

# What is under way gets this long (s) when the slot is given up; then its connections are cut.
DRAIN_S: Final = 12.0
# Cutting aborts sockets and closes the journal, which the next owner may open in this very process.
CUT_S: Final = 4.0
EMIT_AGAIN_S: Final = 1.0
# The reason of a dead letter whose outcome Kafka does not take.
REFUSED: Final = "outcome refused by Kafka"
LANES: Final = (topics.SENDS_TRANSACTIONAL.name, topics.SENDS_MARKETING.name)
# A slot that `egress` does not name: nothing is sent from it, its sends go back.
_NOWHERE: Final = Egress(slot=0, via=Via(kind="bind", address="127.0.0.1"), ehlo="localhost", state="spare")
_send = msgspec.json.Decoder(Send)
_outcome = msgspec.json.Decoder(Outcome)


@dataclass(kw_only=True)
class Shared:
    """What the slots of a process share."""

    settings: Settings
    member: str
    world: World
    replication: Replication
    compose: Callable[[Send], Message | None]
    producer: RecordProducer
    router: Router
    outcome_settings: OutcomeSettings
    app: EvenpostApp
    fuse: Fuse
    # Told that the slot has worked something off.
    worked: Callable[["SlotOwner"], None]
    # Lets something end on its own.
    in_background: Callable[[Coroutine[Any, Any, None]], None]


class SlotOwner:
    """One slot in this process.  It opens its journal and connections when the first send comes."""

    def __init__(self, slot: int, shared: Shared) -> None:
        self.slot = slot
        self._shared = shared
        self._lanes: dict[str, deque[Any]] = {shared.settings.topic(name): deque() for name in LANES}
        self._taken: dict[str, int] = {}
        self._tickets: asyncio.Queue[None] = asyncio.Queue()
        self._stopping = False
        self._ended = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._journal: PartitionTable | None = None
        self._connections: SlotConnections | None = None
        self._egress: Egress | None = None
        self._attempts: Attempts | None = None
        self.ready = True  # a slot without a send has nothing to recover

    def positions(self) -> None:
        """The ledger's to know."""

    def put(self, message: Any) -> None:
        """Take an event over, once."""
        if message.offset <= self._taken.get(message.topic, -1):
            return
        self._taken[message.topic] = message.offset
        self._shared.app.ledger.take(message.topic, message.partition, message.offset)
        self._lanes[message.topic].append(message)
        self._tickets.put_nowait(None)

    def backlog(self, topic: str) -> int:
        """How many sends wait in this lane."""
        return len(self._lanes[topic])

    @property
    def connections(self) -> int:
        """How many SMTP connections it holds."""
        return 0 if self._connections is None else self._connections.open_connections

    async def run(self) -> None:
        """Wait for the first send, read the journal back, then work the lanes until stopped."""
        try:
            await self._tickets.get()
            self._tickets.put_nowait(None)
            if self._stopping:
                return
            self._journal = await asyncio.to_thread(self._recovered)
            if self._journal is None:
                return
            self._workers = [
                asyncio.create_task(self._work(), name=f"slot-{self.slot}-{number}")
                for number in range(self._shared.settings.smtp.connections_per_slot)
            ]
            done, under_way = await asyncio.wait(self._workers, return_when=asyncio.FIRST_EXCEPTION)
            if under_way:  # one has failed: the others finish what is past MAIL FROM
                self._begin_nothing()
                await asyncio.wait(under_way, timeout=DRAIN_S)
            for worker_ in done:
                if not worker_.cancelled():
                    worker_.result()
        finally:
            self._cut()
            if self._workers:
                await asyncio.wait(self._workers)
            if self._connections is not None:
                await self._connections.close()
            if self._journal is not None:
                self._journal.close()
            self._ended.set()

    def _recovered(self) -> PartitionTable | None:
        """The journal, read back; None where the slot is given up meanwhile."""
        settings = self._shared.settings
        path = state_path(settings, self._shared.member, f"journal-{self.slot}")
        journal = PartitionTable(path, ttl_s=(topics.JOURNAL.retention_ms or 0) // 1000)
        topic = settings.topic(topics.JOURNAL.name)
        try:
            read = journal.recover(settings.kafka, topic, self.slot, go_on=lambda: not self._stopping)
        except BaseException as error:
            journal.close()
            if self._stopping and isinstance(error, RecoveryError):
                return None
            raise
        log.info("slot taken", slot=self.slot, journal_records=read)
        return journal

    def _begin_nothing(self) -> None:
        self._stopping = True
        for _ in range(self._shared.settings.smtp.connections_per_slot + 1):
            self._tickets.put_nowait(None)

    async def stop(self) -> None:
        """Finish what is under way; what waits is the next owner's, and so is what does not end in time."""
        self._begin_nothing()
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._ended.wait()
        except TimeoutError:
            log.warning("slot given up with sends under way", slot=self.slot)
            # Or they would go on beside the next owner's: from the same IP, the same mail twice.
            self._cut()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CUT_S):
                    await self._ended.wait()

    def _cut(self) -> None:
        for worker_ in self._workers:
            worker_.cancel()

    async def _work(self) -> None:
        while True:
            await self._tickets.get()
            if self._stopping:
                return
            message = next(lane.popleft() for lane in self._lanes.values() if lane)
            await self._take(message)
            self._shared.app.ledger.done(message.topic, message.partition, message.offset)
            EVENTS.labels(self._name(message)).inc()
            self._shared.worked(self)

    async def _take(self, message: Any) -> None:
        """Bring one event to its end, whatever it holds (G8)."""
        try:
            send = _send.decode(message.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            await self._bury(message, reason=MALFORMED, error=str(error))
            return
        known = self._journal_entry(send)
        if known is not None:
            await self._end(known, send, message)
            return
        with ATTEMPT_SECONDS.time():
            outcome = await self._settled(send, message)
        if outcome is not None:
            _count(await self._end(outcome, send, message), send)

    async def _settled(self, send: Send, message: Any) -> Outcome | None:
        try:
            outcome = await self._attempts_now().settle(send)
        except StoreError:  # not this send's fault: the worker ends, and begins with a whole copy
            raise
        except Exception as error:
            log.exception("send failed within", slot=self.slot, send_id=send.send_id)
            FAILURES.labels(self._name(message)).inc()
            # Tried once: nobody can say whether the mail went, and a second one is worse than none.
            self._shared.fuse.admit(events=1, failed=1)
            FUSE.set(self._shared.fuse.share)
            failure = Failure(error=error)
            await self._bury(message, reason=INTERNAL, error=failure.line, tries=failure.tries)
            rule = Rule(rule="internal_error", value=type(error).__name__, limit="none")
            try:
                return outcomes.refused(send, "internal_error", rule, datetime.now(UTC), self._shared.outcome_settings)
            except ValueError:  # no dealer of ours made this send: its address has no domain, and no outcome a name
                return None
        self._shared.fuse.admit(events=1, failed=0)
        return outcome

    def _attempts_now(self) -> Attempts:
        """The slot's attempts, with connections for the egress as it is now."""
        egress = self._shared.world.egress.get(str(self.slot)) or _NOWHERE
        if self._attempts is None or egress != self._egress:
            if self._connections is not None:
                self._shared.in_background(self._connections.close())
            self._egress = egress
            self._connections = SlotConnections(
                egress.via, egress.ehlo, self._shared.router, self._shared.settings.smtp
            )
            self._attempts = Attempts(
                world=self._shared.world,
                compose=self._shared.compose,
                connections=self._connections,
                settings=self._shared.outcome_settings,
                may_send=self._shared.replication.fresh,
            )
        return self._attempts

    def _journal_entry(self, send: Send) -> Outcome | None:
        found = None if self._journal is None else self._journal.get(_journal_key(send))
        return None if found is None else _outcome.decode(found)

    async def _end(self, outcome: Outcome, send: Send, message: Any) -> Outcome:
        """Make the outcome durable, or a short one where no broker takes it; returns which."""
        refusal = await self._emit(outcome, send)
        if refusal is None:
            return outcome
        log.error("outcome refused by Kafka, made short", slot=self.slot, send_id=send.send_id, error=str(refusal))
        FAILURES.labels(self._name(message)).inc()
        short = shortened(outcome, send, str(refusal), datetime.now(UTC), self._shared.outcome_settings)
        # Before the letter: what the journal does not know would be sent again by the next owner.
        again = await self._emit(short, send)
        if again is not None:
            log.error("short outcome refused as well", slot=self.slot, send_id=send.send_id, error=str(again))
        await self._bury(message, reason=REFUSED, error=str(refusal))
        # Last: should it blow, this send has its end.
        self._shared.fuse.admit(events=1, failed=1)
        FUSE.set(self._shared.fuse.share)
        return short

    async def _emit(self, outcome: Outcome, send: Send) -> KafkaException | None:
        """Make the outcome durable, or give back why no broker will ever take it.

        A live sender tries until it is: it never sends again for Kafka's sake.
        """
        while True:
            try:
                await self._emit_once(outcome, send)
            except KafkaException as error:
                if error.args[0].code() in REFUSALS:
                    return error
                log.warning("outcome not durable yet", slot=self.slot, error=str(error))
                await asyncio.sleep(EMIT_AGAIN_S)
            else:
                return None

    async def _emit_once(self, outcome: Outcome, send: Send) -> None:
        emit, topic = self._shared.producer.send, self._shared.settings.topic
        value = msgspec.json.encode(outcome)
        # The journal first: an effect of an outcome that it does not know (a return, say) would count beside those of a
        # second try.  Reports come in the order of offsets, and nothing is awaited in between: applied in order, too.
        durable = await emit(topic(topics.JOURNAL.name), value, key=_journal_key(send), partition=self.slot)
        offset = await durable
        if self._journal is not None:
            self._journal.put(_journal_key(send), value)
            self._journal.apply(offset + 1)
        futures = [
            await emit(
                topic(topics.DELIVERIES.name),
                msgspec.json.encode(outcome.delivery),
                key=send.send_id.encode(),
                partition=self.slot,
            )
        ]
        if outcome.returned is not None:
            person = ids.person_key(send.tenant, send.recipient_id).encode()
            futures.append(await emit(topic(topics.RETURNS.name), msgspec.json.encode(outcome.returned), key=person))
        if outcome.suppression is not None:
            entry = outcome.suppression
            key = ids.suppression_key(entry.scope, entry.channel, entry.reason, entry.address_id)
            futures.append(await emit(topic(topics.SUPPRESSIONS.name), msgspec.json.encode(entry), key=key.encode()))
        await asyncio.gather(*futures)

    def _name(self, message: Any) -> str:
        return str(message.topic).removeprefix(self._shared.settings.kafka.prefix)

    async def _bury(self, message: Any, *, reason: str, error: str, tries: int | None = None) -> None:
        letter = DeadLetter(
            role="sender",
            topic=self._name(message),
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            reason=reason,
            error=error,
            tries=tries,
        )
        await bury(self._shared.producer, self._shared.settings, letter)


def _count(outcome: Outcome, send: Send) -> None:
    delivery = outcome.delivery
    OUTCOMES.labels(delivery.type).inc()
    if delivery.attempt > send.attempt:
        ATTEMPTS.labels(delivery.class_).inc()
    if outcome.suppression is not None:
        SUPPRESSED.labels(outcome.suppression.reason).inc()


def _journal_key(send: Send) -> bytes:
    return f"{send.send_id}:{send.deal}".encode()
