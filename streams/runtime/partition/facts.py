"""Facts: records that say what is so, whoever says it and however often (suppressions, controls, conditions, leases).

They go out by a plain idempotent producer and are awaited *before* the transaction of the batch that found them: a
crash in between repeats them, which changes nothing, and a reader of uncommitted records has them at once (DESIGN.md,
choice 4).
"""

import asyncio
from collections.abc import Sequence

from confluent_kafka import KafkaException

from streams.runtime.errors import RecordRefusedError, TransactionAbortedError
from streams.runtime.partition.transactions import REFUSALS, Record
from streams.runtime.producer import RecordProducer


class Facts:
    """Writes the records of some declared topics outside transactions."""

    def __init__(self, producer: RecordProducer, *, topics: frozenset[str]) -> None:
        self.topics = topics
        self._producer = producer

    async def write(self, records: Sequence[Record]) -> None:
        """Write all, in order, and wait until they are durable.

        Raises TransactionAbortedError where one is not: the batch is not to be committed, and may be decided again.
        """
        futures = [
            await self._producer.send(
                record.topic, record.value, key=record.key, partition=record.partition, headers=record.headers
            )
            for record in records
        ]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for record, answer in zip(records, answers, strict=True):
            if isinstance(answer, KafkaException):
                refused = answer.args[0].code() in REFUSALS
                error = RecordRefusedError if refused else TransactionAbortedError
                raise error(record.topic, str(answer.args[0])) from answer
            if isinstance(answer, BaseException):
                raise answer
