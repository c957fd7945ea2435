"""A dead letter as a command meets it, and the marker that says that one was replayed.

A marker is a record of `dead-letters` itself, without value, in the partition of its letter and behind it: so it never
is deleted before its letter, and whoever sees a letter can see its marker.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from schemas.topics import DEAD_LETTER_BYTES, DEAD_LETTER_KEY_BYTES
from streams.runtime.cluster import KafkaRecord

# A marker's only header: the letter's offset.
MARKER: Final = "replayed"
# Of a record that was written back: where it stood at first, and its letter.
ORIGIN: Final = "evenpost-replayed"
LETTER: Final = "evenpost-dead-letter"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What the headers say, without the bytes; `partition` and `offset` are the letter's own.

    `cut`: the original was larger than a dead letter holds, and only its beginning is here.
    """

    partition: int
    offset: int
    at: datetime | None
    reason: str
    error: str
    role: str
    topic: str
    source_partition: int | None
    source_offset: int | None
    size: int
    cut: bool

    @classmethod
    def of(cls, record: KafkaRecord) -> Self:
        """A record of `dead-letters` that is no marker; what a header doesn't say is empty."""
        head = {name: value.decode("utf-8", "replace") for name, value in record.headers.items()}
        size, key = len(record.value or b""), len(record.raw_key or b"")
        return cls(
            partition=record.partition,
            offset=record.offset,
            at=record.at,
            reason=head.get("reason", ""),
            error=head.get("error", ""),
            role=head.get("role", ""),
            topic=head.get("source-topic", ""),
            source_partition=_number(head.get("source-partition")),
            source_offset=_number(head.get("source-offset")),
            size=size,
            cut=size >= DEAD_LETTER_BYTES or key >= DEAD_LETTER_KEY_BYTES,
        )

    @property
    def words(self) -> str:
        """Reason and error as one text."""
        return ": ".join(filter(None, (self.reason, self.error)))

    @property
    def place(self) -> tuple[int, int]:
        """Where the letter is in `dead-letters`."""
        return self.partition, self.offset


def replayed_place(record: KafkaRecord) -> tuple[int, int] | None:
    """Of a marker, the place of its letter; None of a letter."""
    offset = _number(record.headers.get(MARKER, b"").decode("utf-8", "replace"))
    return None if offset is None else (record.partition, offset)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
