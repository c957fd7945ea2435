"""What a slot says to Kafka of a send: its intent, its outcome with all that follows from it, its dead letter.

1. An intent is a fact, and stands open until its outcome is said; who hands it over waits for it, before the dot.
2. An outcome and its effects go out together and nobody waits.  A suppression, which no transaction holds back, is
   durable before they are committed.
3. What Kafka refuses for what it is (too large) is made short, and the send is a dead letter as well.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import KafkaException

from agents.slot.shared import Shared
from agents.slot.standing import Standing
from agents.slot.under_way import UnderWay, heard
from agents.slot.words import Words
from schemas.events import Intent, Outcome, Send, Suppression
from streams.delivery.short_outcome import shortened
from streams.runtime.dead_letters import DeadLetter
from streams.runtime.metrics import ATTEMPTS, FAILURES, FUSE, INTENT_SECONDS, OUTCOMES, SUPPRESSED
from streams.runtime.partition.outbox import Outbox
from streams.runtime.partition.record import Record

log = structlog.get_logger(__name__)

# A suppression that no broker took is said again after this (s): the broker has just failed.
AGAIN_S: Final = 0.5
# The reason of a dead letter whose outcome Kafka does not take.
REFUSED: Final = "outcome refused by Kafka"


@dataclass(kw_only=True, slots=True)
class Begun:
    """A send that is in hand, and where it stands; `provider` is whose limits hold for it."""

    send: Send
    message: Any
    lane: str
    provider: str
    said: bool = False


class Saying:
    """One session's."""

    def __init__(self, slot: int, shared: Shared, *, outbox: Outbox, standing: Standing, under_way: UnderWay) -> None:
        self._slot = slot
        self._shared = shared
        self._words = Words(slot, shared)
        self._outbox = outbox
        self._in_doubt = standing.in_doubt
        self._under_way = under_way

    def intent(self, begun: Begun, connection: str) -> "asyncio.Future[int]":
        """Hand a send's intent over; the future tells that it is durable."""
        send = begun.send
        key = (send.send_id, send.deal)
        intent = Intent(
            send_id=send.send_id,
            deal=send.deal,
            attempt=send.attempt + 1,
            content=send.content,
            connection=connection,
            lane=begun.lane,
            offset=begun.message.offset,
            at=_now(),
        )
        self._in_doubt[key] = intent
        self._under_way.announced(key, intent)
        said = time.monotonic()
        durable = self._outbox.fact(self._words.fact(intent))
        durable.add_done_callback(lambda _: INTENT_SECONDS.observe(time.monotonic() - said))
        return durable

    def outcome(self, outcome: Outcome, begun: Begun | None = None) -> None:
        """Hand an outcome and all that follows from it over; without `begun` it was read from the journal."""
        key = (outcome.send_id, outcome.deal)
        if key in self._in_doubt:
            self._told_first(outcome)
        after = None
        if outcome.suppression is not None:
            after = asyncio.create_task(self._suppressed(outcome.suppression))
            after.add_done_callback(heard)

        def refused(error: KafkaException) -> Sequence[Record]:
            if begun is None:  # the journal had room for it
                raise error
            return self._short(outcome, begun.send, begun.message, error)

        records = self._words.effects(outcome, journaled=begun is None or key in self._in_doubt)
        self._outbox.effects(records, refused=refused, after=after)
        self._in_doubt.pop(key, None)
        _count(outcome, None if begun is None else begun.send)

    def dead_letter(self, message: Any, *, reason: str, error: str, tries: int | None = None) -> None:
        """Hand over that an event can't be used."""
        letter = self._letter(message, reason=reason, error=error, tries=tries)

        def refused(why: KafkaException) -> Sequence[Record]:
            raise why  # a letter is cut to what fits

        self._outbox.effects([letter], refused=refused)

    def lane(self, message: Any) -> str:
        """Its topic by declared name."""
        return str(message.topic).removeprefix(self._shared.settings.kafka.prefix)

    def blow(self) -> None:
        """Have the fuse count an event that failed.  Raises where too many did."""
        self._shared.fuse.admit(events=1, failed=1)
        FUSE.set(self._shared.fuse.share)

    def _told_first(self, outcome: Outcome) -> None:
        """For who kills senders: hears when the outcome is durable, before its effects can be committed."""
        points = self._shared.points
        if points is not None:

            def durable(told: "asyncio.Future[int]") -> None:
                if not told.cancelled() and told.exception() is None:
                    points.reach("after-outcome", send_id=outcome.send_id)

            self._outbox.fact(self._words.fact(outcome)).add_done_callback(durable)

    def _short(self, outcome: Outcome, send: Send, message: Any, error: KafkaException) -> Sequence[Record]:
        log.error("outcome refused by Kafka, made short", slot=self._slot, send_id=send.send_id, error=str(error))
        FAILURES.labels(self.lane(message)).inc()
        short = shortened(outcome, send, str(error), _now(), self._shared.outcome_settings)
        short = msgspec.structs.replace(short, lane=outcome.lane, offset=outcome.offset)
        letter = self._letter(message, reason=REFUSED, error=str(error))
        self.blow()
        return [*self._words.effects(short, journaled=True), letter]

    async def _suppressed(self, entry: Suppression) -> None:
        """Write a suppression, which no transaction holds back, until it is durable (DESIGN.md G4)."""
        record = self._words.suppression(entry)
        while True:
            try:
                await (await self._shared.producer.send(record.topic, record.value, key=record.key))
            except KafkaException as error:
                log.warning("suppression not durable yet", slot=self._slot, error=str(error))
                await asyncio.sleep(AGAIN_S)
            else:
                SUPPRESSED.labels(entry.reason).inc()
                return

    def _letter(self, message: Any, *, reason: str, error: str, tries: int | None = None) -> Record:
        return self._words.dead_letter(
            DeadLetter(
                role="sender",
                topic=self.lane(message),
                partition=message.partition,
                offset=message.offset,
                key=message.key,
                value=message.value,
                reason=reason,
                error=error,
                tries=tries,
            )
        )


def _count(outcome: Outcome, send: Send | None) -> None:
    delivery = outcome.delivery
    OUTCOMES.labels(delivery.type).inc()
    if send is not None and delivery.attempt > send.attempt:
        ATTEMPTS.labels(delivery.class_).inc()


def _now() -> datetime:
    return datetime.now(UTC)
