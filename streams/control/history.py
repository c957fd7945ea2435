"""What went in each span of the last days, held compactly: one array of numbers a key and day.

Fed from the volumes topic at the start, and by what is published since; the same record twice changes nothing.  A span
without a record is one in which nothing went.
"""

from array import array
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from schemas.events import Volume
from streams.control.figures import WIDTH, Figures
from streams.control.rules import VolumeTerms
from streams.control.seen import dated

_DAY_S: Final = 86_400
_DAY: Final = timedelta(days=1)
# What a figure of a span holds (32 bits): 1.2 million mails a second, in an hour.
_LARGEST: Final = 2**32 - 1


class History:
    """Figures by scope, key, and span; 576 bytes a key and day of hours."""

    def __init__(self, terms: VolumeTerms) -> None:
        self._terms = terms
        self._span_s = int(terms.span.total_seconds())
        self._length = _DAY_S // self._span_s * WIDTH
        self._days: dict[tuple[str, str], dict[date, array[int]]] = {}
        self.latest: datetime | None = None
        self.ready = False

    def clear(self) -> None:
        """Forget all; who reads it anew says when it is ready."""
        self.ready = False
        self.latest = None
        self._days.clear()

    def put(self, volume: Volume) -> None:
        """Take what was published; of spans of another length (the setting has changed since) nothing is kept."""
        if volume.span_s != self._span_s or not dated(volume.begins_at):
            return
        day, at = self._place(volume.begins_at)
        days = self._days.setdefault((volume.scope, volume.key), {})
        row = days.get(day)
        if row is None:
            row = days[day] = array("I", bytes(self._length * array("I").itemsize))
        figures = (volume.attempts, volume.accepted, volume.bounced, volume.deferred, volume.complained, volume.dead)
        row[at : at + WIDTH] = array("I", (min(figure, _LARGEST) for figure in figures))
        if self.latest is None or volume.begins_at > self.latest:
            self.latest = volume.begins_at

    def span(self, scope: str, key: str, begin: datetime) -> Figures:
        """The figures of one span."""
        day, at = self._place(begin)
        row = self._days.get((scope, key), {}).get(day)
        return Figures() if row is None else Figures(*row[at : at + WIDTH])

    def day(self, scope: str, key: str, day: date) -> Figures:
        """The sums of one day (UTC)."""
        row = self._days.get((scope, key), {}).get(day)
        return Figures() if row is None else Figures(*(sum(row[column::WIDTH]) for column in range(WIDTH)))

    def first_day(self, scope: str, key: str) -> date | None:
        """The first day that there is a record of; None: the key is new."""
        return min(self._days.get((scope, key), ()), default=None)

    def keys(self, scope: str) -> tuple[str, ...]:
        """The keys of a scope that there is any record of."""
        return tuple(key for of, key in self._days if of == scope)

    def expire(self, now: datetime) -> Iterator[Volume]:
        """Forget whole days that are over and kept long enough; each record of theirs, for its tombstone."""
        last = (now - self._terms.kept).astimezone(UTC).date()
        for (scope, key), days in list(self._days.items()):
            for day in [day for day in days if day < last]:
                row = days.pop(day)
                for at in range(0, self._length, WIDTH):
                    if any(row[at : at + WIDTH]):
                        yield _volume(scope, key, _begin(day, at // WIDTH * self._span_s), self._span_s, row, at)
            if not days:
                del self._days[scope, key]

    def _place(self, begin: datetime) -> tuple[date, int]:
        moment = begin.astimezone(UTC)
        second = moment.hour * 3_600 + moment.minute * 60 + moment.second
        return moment.date(), second // self._span_s * WIDTH


def _begin(day: date, second: int) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)


def _volume(scope: str, key: str, begins_at: datetime, span_s: int, row: "array[int]", at: int) -> Volume:
    names = Figures._fields
    figures = dict(zip(names, row[at : at + WIDTH], strict=True))
    return Volume(scope=scope, key=key, begins_at=begins_at, span_s=span_s, **figures)  # type: ignore[arg-type]
