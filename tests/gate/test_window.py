"""Windows of sending open and close once a day, in the recipient's time, whatever clocks do there.

The oracle walks minute by minute and reads the clock on the wall.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.events import SendWindow
from streams.gate.window import opens_at, zone

NEW_YORK, APIA, LORD_HOWE = "America/New_York", "Pacific/Apia", "Australia/Lord_Howe"
WEEK = (0, 1, 2, 3, 4, 5, 6)
FORWARD, BACK = date(2026, 3, 8), date(2026, 11, 1)  # New York: 02:00 -> 03:00, and 02:00 -> 01:00
MINUTE = timedelta(minutes=1)


def window(opens: str, closes: str, days: tuple[int, ...] = WEEK) -> SendWindow:
    """A window of these hours."""
    return SendWindow(opens=opens, closes=closes, days=days)


def at(name: str) -> ZoneInfo:
    """The zone of that name."""
    found = zone(name)
    assert found is not None
    return found


def utc(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(moment: datetime, name: str) -> str:
    """What a clock shows there."""
    return f"{moment.astimezone(at(name)):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("opens", "closes", "now", "expected"),
    [
        ("08:00", "21:00", "2026-11-23T23:00", None),  # 08:00 in Tokyo
        ("08:00", "21:00", "2026-11-23T22:59", "2026-11-23T23:00"),
        ("08:00", "21:00", "2026-11-24T12:00", "2026-11-24T23:00"),  # 21:00: shut until tomorrow
        ("22:00", "06:00", "2026-11-23T20:59", None),  # 05:59, open since yesterday
        ("22:00", "06:00", "2026-11-23T21:00", "2026-11-24T13:00"),
        ("09:00", "09:00", "2026-11-24T00:00", None),  # the whole day, also as it turns
    ],
)
def test_it_is_open_from_its_opening_to_before_its_close(
    opens: str, closes: str, now: str, expected: str | None
) -> None:
    """In Tokyo, where clocks are never moved."""
    found = opens_at(window(opens, closes), at("Asia/Tokyo"), utc(now))
    assert found == (None if expected is None else utc(expected))


def test_it_opens_on_its_days_alone_and_past_midnight_belongs_to_the_day_before() -> None:
    """A window of Friday and Saturday nights is open on Sunday at 01:00, and shut on Friday at 01:00."""
    nights = window("22:00", "02:00", (4, 5))
    assert opens_at(nights, at("UTC"), utc("2026-11-29T01:00")) is None
    assert opens_at(nights, at("UTC"), utc("2026-11-27T01:00")) == utc("2026-11-27T22:00")
    assert opens_at(nights, at("UTC"), utc("2026-11-29T02:00")) == utc("2026-12-04T22:00")


@pytest.mark.parametrize(
    ("opens", "closes", "day", "first", "last"),
    [
        # In the gap there is no 02:30: it opens as clocks jump to 03:00, at 07:00 UTC.
        ("02:30", "05:00", FORWARD, "2026-03-08T07:00", "2026-03-08T08:59"),
        ("01:00", "02:30", FORWARD, "2026-03-08T06:00", "2026-03-08T06:59"),
        # 01:30 comes twice, at 05:30 and 06:30 UTC: it opens at the first.
        ("01:30", "03:00", BACK, "2026-11-01T05:30", "2026-11-01T07:59"),
        ("00:00", "01:30", BACK, "2026-11-01T04:00", "2026-11-01T05:29"),
        # An hour that comes twice is twice as long, one that never comes is none.
        ("01:00", "02:00", BACK, "2026-11-01T05:00", "2026-11-01T06:59"),
    ],
)
def test_clocks_that_are_moved(opens: str, closes: str, day: date, first: str, last: str) -> None:
    """It opens once and closes once: every minute of that day in New York."""
    one = window(opens, closes, (day.weekday(),))
    begin = datetime.combine(day, datetime.min.time(), at(NEW_YORK)).astimezone(UTC) - timedelta(hours=2)
    minutes = [begin + minute * MINUTE for minute in range(28 * 60)]
    is_open = [minute for minute in minutes if opens_at(one, at(NEW_YORK), minute) is None]
    assert (is_open[0], is_open[-1]) == (utc(first), utc(last))
    assert len(is_open) == (is_open[-1] - is_open[0]) // MINUTE + 1, "once"


def test_an_hour_that_does_not_come_is_no_window_that_day() -> None:
    """02:00 to 03:00 on the day when clocks jump over it: the next day."""
    found = opens_at(window("02:00", "03:00"), at(NEW_YORK), utc("2026-03-08T06:30"))
    assert found is not None and shown(found, NEW_YORK) == "2026-03-09 02:00"


def test_a_day_that_a_zone_left_out() -> None:
    """Apia had no 30 December 2011, a Friday: its window of Fridays opens a week later."""
    found = opens_at(window("08:00", "20:00", (4,)), at(APIA), utc("2011-12-29T12:00"))
    assert found is not None and shown(found, APIA) == "2012-01-06 08:00"


names = st.sampled_from(["UTC", "Asia/Tokyo", NEW_YORK, "Europe/London", "Asia/Kathmandu", LORD_HOWE, APIA])
clock = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
days = st.sets(st.integers(0, 6), min_size=1).map(lambda found: tuple(sorted(found)))
starts = st.sampled_from(
    [FORWARD, BACK, date(2026, 3, 29), date(2026, 10, 25), date(2026, 4, 5), date(2026, 10, 4), date(2026, 6, 3)]
)


@given(name=names, opens=clock, closes=clock, days=days, day=starts, minutes=st.integers(-3000, 3000))
@example(name=LORD_HOWE, opens="02:10", closes="02:20", days=WEEK, day=date(2026, 10, 4), minutes=0)
@settings(max_examples=300, deadline=None)
def test_the_opening_is_the_first_moment_of_a_day_at_which_clocks_show_it(
    name: str, opens: str, closes: str, days: tuple[int, ...], day: date, minutes: int
) -> None:
    """In zones with and without summer time: shut until then, open from then on, on a day of the window."""
    one, there = window(opens, closes, days), at(name)
    now = datetime.combine(day, datetime.min.time(), UTC) + minutes * MINUTE
    found = opens_at(one, there, now)
    if found is None:
        return
    assert found > now and opens_at(one, there, found) is None
    assert opens_at(one, there, found - timedelta(seconds=1)) == found
    local, before = found.astimezone(there), (found - timedelta(seconds=1)).astimezone(there)
    assert local.weekday() in days
    assert f"{local:%H:%M}" == opens or (f"{before:%H:%M}" < opens < f"{local:%H:%M}")
    assert found - now <= timedelta(days=9)


@pytest.mark.parametrize("name", ["Asia/Tokio", "", "../../etc/passwd", "Asia", "JST-9!", "a" * 300, "Asia/Tokyo\0"])
def test_what_is_no_zone(name: str) -> None:
    """Nothing raises, whatever upstream writes."""
    assert zone(name) is None
