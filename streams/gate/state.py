"""One gate partition's tables as the gate sees them: a sorted map of bytes.

Keys: `p/` person (streams.gate.person), `w/` waiting room (streams.gate.waiting), `s/` dealers (streams.gate.slots).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The calendar's end: upstream writes it, or something near, for "never".
LAST: Final = datetime.max.replace(tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class State(Protocol):
    """An overlay over committed state: reads see the batch's own writes, a commit makes them durable."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""

    def scan(self, prefix: bytes, *, limit: int) -> Iterator[tuple[bytes, bytes]]:
        """The first `limit` (key, value) pairs that begin with `prefix`, by key."""


def millis(moment: datetime) -> int:
    """Milliseconds since 1970, as the tables hold time."""
    return (moment - EPOCH) // _MILLISECOND


def moment(ms: int) -> datetime:
    """The inverse of `millis`, in UTC."""
    return EPOCH + timedelta(milliseconds=ms)


def after(moment: datetime, seconds: float) -> datetime:
    """So many seconds later, or the calendar's end."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return LAST
