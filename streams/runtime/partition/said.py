"""What an outbox has said, record by record, and who is told what became of it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException

from streams.runtime.errors import RecordRefusedError
from streams.runtime.partition.fenced import REFUSALS
from streams.runtime.partition.record import Record


class Hearing(Protocol):
    """The outbox, as far as it is told."""

    def durable(self, fact: "Fact") -> None:
        """It is on the broker."""

    def broken(self, error: KafkaError) -> None:
        """The transaction can't be committed."""


class Fact:
    """One record that somebody waits for."""

    __slots__ = ("_outbox", "future", "records", "refusal")

    def __init__(self, outbox: Hearing, record: Record) -> None:
        self.future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.records: Sequence[Record] = (record,)
        self.refusal: KafkaError | None = None
        self._outbox = outbox

    def delivered(self, offset: int) -> None:
        """It is so, from now on."""
        self._outbox.durable(self)
        if not self.future.done():
            self.future.set_result(offset)

    def failed(self, error: KafkaError) -> None:
        """The transaction is to be given back."""
        if error.code() in REFUSALS:
            self.refusal = error
        self._outbox.broken(error)

    def fail(self, error: Exception) -> None:
        """Tell who waits for it."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # who waits is told; where nobody does, that is no news for the log


class Effects:
    """Records that come of one send, kept until they are committed."""

    __slots__ = ("_outbox", "_refused", "records", "refusal")

    def __init__(
        self, outbox: Hearing, records: Sequence[Record], refused: Callable[[KafkaException], Sequence[Record]]
    ) -> None:
        self.records = records
        self.refusal: KafkaError | None = None
        self._refused: Callable[[KafkaException], Sequence[Record]] | None = refused
        self._outbox = outbox

    def delivered(self, offset: int) -> None:
        """Nobody waits for it."""

    def failed(self, error: KafkaError) -> None:
        """The transaction is to be given back."""
        if error.code() in REFUSALS:
            self.refusal = self.refusal or error
        self._outbox.broken(error)

    def replace(self, name: str) -> bool:
        """Take what stands in for refused records; whether there was a refusal."""
        if self.refusal is None:
            return False
        if self._refused is None:
            raise RecordRefusedError(name, f"what stands in for a refused record is refused as well: {self.refusal}")
        self.records = self._refused(KafkaException(self.refusal))
        self.refusal = self._refused = None
        return True
