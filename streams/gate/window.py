"""When a window of sending is open, in a time zone: quiet hours, and days without mail.

A window opens once on each of its days, at the first moment when clocks there show `opens` or later, and closes at the
first moment when they show `closes` or later, on the next day where that is not after `opens`.  So where clocks are put
forward over `opens` it opens as the gap ends; where they are put back it neither opens nor closes twice.

All pure; a day's openings are worked out once.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.events import SendWindow

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
# Days looked at: a window that opened yesterday may still be open, one of a weekday opens within a week, and a zone
# may skip a day (Apia left out 30 December 2011).
_BACK, _AHEAD = 2, 10
# Long enough for every name there is (America/Argentina/ComodRivadavia has 32 characters); what upstream misspells is
# remembered as well.
NAME_LENGTH: Final = 64
_ZONES: Final = 4096
# Windows and zones in use at a time, two days of each.
_OPENINGS: Final = 4096


def zone(name: str) -> ZoneInfo | None:
    """The IANA time zone of that name, or None."""
    return _zone(name) if len(name) <= NAME_LENGTH else None


@lru_cache(maxsize=_ZONES)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown; no name at all; a folder of the database
        return None


def opens_at(window: SendWindow, at: ZoneInfo, now: datetime) -> datetime | None:
    """When the window opens next, or None while it is open."""
    for opens, closes in _openings(window, at, now.astimezone(UTC).date()):
        if now < closes:
            return opens if now < opens else None
    return now + _DAY  # no clock shows any of it for a week: ask again tomorrow


@lru_cache(maxsize=_OPENINGS)
def _openings(window: SendWindow, at: ZoneInfo, today: date) -> tuple[tuple[datetime, datetime], ...]:
    """(opens, closes) in UTC around a day in UTC, in their order."""
    opens, closes = time.fromisoformat(window.opens), time.fromisoformat(window.closes)
    over = _DAY if closes <= opens else timedelta()
    found = []
    for days in range(-_BACK, _AHEAD):
        day = today + days * _DAY
        if day.weekday() in window.days:
            begin = _first_moment(datetime.combine(day, opens), at)
            end = _first_moment(datetime.combine(day, closes) + over, at)
            if begin < end:
                found.append((begin, end))
    return tuple(found)


def _first_moment(wall: datetime, at: ZoneInfo) -> datetime:
    """When clocks first show this time of day or a later one, in UTC."""
    moment = wall.replace(tzinfo=at).astimezone(UTC)  # fold 0: the first of two; in a gap, as clocks went before it
    if moment.astimezone(at).replace(tzinfo=None) == wall:
        return moment
    # In a gap (PEP 495): it begins behind what clocks went before it show, and ends there.
    low, high = wall.replace(tzinfo=at, fold=1).astimezone(UTC), moment
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        low, high = (low, middle) if middle.astimezone(at).replace(tzinfo=None) >= wall else (middle, high)
    return high.replace(microsecond=0)
