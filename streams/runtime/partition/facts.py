"""Facts: records that say what is so, whoever says it and however often (suppressions, controls, conditions, leases).

They go out by a plain idempotent producer and are awaited *before* the transaction of the batch that found them: a
crash in between repeats them, which changes nothing, and a reader of uncommitted records has them at once (DESIGN.md,
choice 4).

No fence holds facts back (DESIGN.md, G4), so time does: they are handed over soon after the group confirmed the owner,
and what is not on the broker soon after that never goes there.  Both spans together are shorter than the session: a
worker that slept through its own, and has a successor, puts no old word over a newer one.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException

from streams.runtime.errors import RecordRefusedError, TransactionAbortedError
from streams.runtime.partition.transactions import REFUSALS, Record
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import KafkaSettings

# Shares of the session: until the last fact of a batch is handed over, and from there until it is given up.  A quarter
# is left for the heartbeat that confirmed the owner, and for clocks.
HAND_OVER_SHARE: Final = 0.25
DELIVERY_SHARE: Final = 0.5


def producer_of_facts(kafka: KafkaSettings, *, client_id: str) -> RecordProducer:
    """A producer that gives a record up well before another worker may own its partition."""
    delivery_timeout_ms = int(kafka.session_timeout_s * DELIVERY_SHARE * 1000)
    return RecordProducer(kafka, client_id=client_id, delivery_timeout_ms=delivery_timeout_ms)


class Facts:
    """Writes the records of some declared topics outside transactions."""

    def __init__(self, producer: RecordProducer, *, topics: frozenset[str], session_timeout_s: float) -> None:
        self.topics = topics
        self._producer = producer
        self._hand_over_s = session_timeout_s * HAND_OVER_SHARE

    async def write(self, records: Sequence[Record], *, asked: float) -> None:
        """Write all, in order, and wait until they are durable; `asked`: when (monotonic) the group was, who owns.

        Raises TransactionAbortedError where one is not: the batch is not to be committed, and may be decided again.
        """
        futures: list[asyncio.Future[int]] = []
        late: TransactionAbortedError | None = None
        for record in records:
            since = time.monotonic() - asked
            if since > self._hand_over_s:
                late = TransactionAbortedError(record.topic, f"its owner was confirmed {since:.1f} s ago, not just now")
                break
            futures.append(
                await self._producer.send(
                    record.topic, record.value, key=record.key, partition=record.partition, headers=record.headers
                )
            )
        answers = await asyncio.gather(*futures, return_exceptions=True)
        if late is not None:
            raise late
        for record, answer in zip(records, answers, strict=True):
            if isinstance(answer, KafkaException):
                refused = answer.args[0].code() in REFUSALS
                error = RecordRefusedError if refused else TransactionAbortedError
                raise error(record.topic, str(answer.args[0])) from answer
            if isinstance(answer, BaseException):
                raise answer
