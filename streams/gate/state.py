"""One gate partition's tables as the gate sees them: a sorted map of bytes.

Keys: `p/` person (streams.gate.person), `w/` waiting room (streams.gate.waiting), `s/` dealers (streams.gate.slots),
`q/` what warming IPs took today (streams.gate.quotas), `f/` how far the forgetting is (streams.gate.sweep).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from streams.runtime.errors import RuntimeFault

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The calendar's end: upstream writes it, or something near, for "never".
LAST: Final = datetime.max.replace(tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class State(Protocol):
    """An overlay over committed state: reads see the batch's own writes, a commit makes them durable.

    A table that can't be read or written raises a RuntimeFault: no mail's fault, and no mail's end.
    """

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""

    def scan(self, prefix: bytes, *, limit: int, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The first `limit` (key, value) pairs behind `after` whose keys begin with `prefix`, by key."""


@contextmanager
def passed_over() -> Iterator[None]:
    """Let whatever one mail's record fails with be; what the tables themselves fail with goes on."""
    try:
        yield
    except RuntimeFault:
        raise
    except Exception:  # noqa: BLE001, S110  # the error that led here is told already, and this is its echo
        pass


def millis(moment: datetime) -> int:
    """Milliseconds since 1970, as the tables hold time."""
    return (moment - EPOCH) // _MILLISECOND


def moment(ms: int) -> datetime:
    """The inverse of `millis`, in UTC."""
    return EPOCH + timedelta(milliseconds=ms)


@lru_cache(maxsize=64)
def _span(seconds: float) -> timedelta:
    """The few terms that the settings hold."""
    return timedelta(seconds=seconds)


def after(moment: datetime, seconds: float) -> datetime:
    """So many seconds later, or the calendar's end."""
    try:
        return moment + _span(seconds)
    except OverflowError:
        return LAST
