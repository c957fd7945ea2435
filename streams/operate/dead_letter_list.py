"""Dead letters as a list: why, where from, when, and the first bytes with mail addresses masked."""

from datetime import datetime
from typing import Any, Final

from schemas.topics import DEAD_LETTERS
from streams.runtime.cluster import KafkaRecord, read_all
from streams.runtime.logs import mask
from streams.runtime.settings import Settings

# Bytes of the original that are looked at, and characters of them that are shown.
LOOKED_AT: Final = 4_096
SHOWN: Final = 120


def newest(settings: Settings, limit: int) -> list[dict[str, Any]]:
    """The newest dead letters, newest first."""
    records = sorted(read_all(settings, DEAD_LETTERS, last=limit), key=_when, reverse=True)
    return [described(record) for record in records[:limit]]


def described(record: KafkaRecord) -> dict[str, Any]:
    """A dead letter in words; what a header doesn't say is empty."""
    head = {name: value.decode("utf-8", "replace") for name, value in record.headers.items()}
    # Mask first, cut then: a cut address would not be known as one.
    text = mask((record.value or b"")[:LOOKED_AT].decode("utf-8", "replace"))
    return {
        "at": record.at,
        "reason": mask(": ".join(head[name] for name in ("reason", "error") if head.get(name))),
        "topic": head.get("source-topic", ""),
        "partition": _number(head.get("source-partition")),
        "offset": _number(head.get("source-offset")),
        "bytes": len(record.value or b""),
        "start": text[:SHOWN].encode("unicode_escape").decode() if not text.isprintable() else text[:SHOWN],
    }


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _when(record: KafkaRecord) -> tuple[float, int, int]:
    at: datetime | None = record.at
    return (at.timestamp() if at is not None else 0.0, record.partition, record.offset)
