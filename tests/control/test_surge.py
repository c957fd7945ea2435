"""A surge is told against the key's own history, once a span, and before it goes out where it can be."""

from datetime import timedelta

from streams.control.figures import Figures
from streams.control.firing import Firing
from streams.control.history import History
from streams.control.rules import SurgeTerms
from streams.control.surge import Surges, Waiting, baseline
from tests.control.builders import HOUR, NOW, TERMS, at, volume

DAY = timedelta(days=1)
NOBODY = Waiting(tenants={}, providers={})
SURGE = SurgeTerms()


def history_of(
    days: int, *, attempts: int = 20_000, hours: int = 1, scope: str = "tenant", key: str = "acme"
) -> History:
    """So many days of about as much in the same hours; the first day is that on which the key began."""
    history = History(TERMS)
    for number in range(1, days + 1):
        for hour in range(hours):
            wobble = 1 + 0.05 * (number % 3 - 1)
            history.put(volume(scope, key, NOW - number * DAY + hour * HOUR, attempts=round(attempts * wobble)))
    return history


def looked(
    surges: Surges, attempts: int, waiting: Waiting = NOBODY, *, scope: str = "tenant", key: str = "acme"
) -> list[Firing]:
    """What is told of an hour in which so many went."""
    return list(surges.look(NOW, {(scope, key): Figures(attempts=attempts)}, waiting, at(600)))


def test_more_than_the_same_hour_ever_was_is_a_surge() -> None:
    """Twice the median is at the limit, more is above; the incident says with what it was compared."""
    history = history_of(8)
    assert looked(Surges(SURGE, TERMS, history), 40_000) == []
    (firing,) = looked(Surges(SURGE, TERMS, history), 40_001)
    incident = firing.incident
    assert (incident.rule, incident.scope, incident.key, incident.coming) == ("surge", "tenant", "acme", False)
    assert incident.value == "40,001 went since 2026-12-01T03:00Z"
    assert incident.limit == "40,000 (median 20,000, spread 1,483, of the same span on 7 days)"
    assert incident.evidence[0].startswith("2026-11-30T03:00Z ")
    assert firing.control is None


def test_what_waits_at_the_gates_is_seen_coming() -> None:
    """12,000 went and 200,000 wait: told before they go; when they have gone it is a surge as well, each once."""
    surges = Surges(SURGE, TERMS, history_of(8))
    waiting = Waiting(tenants={"acme": 200_000}, providers={})
    (coming,) = looked(surges, 12_000, waiting)
    assert (coming.incident.rule, coming.incident.coming) == ("surge-coming", True)
    assert coming.incident.value == "12,000 went since 2026-12-01T03:00Z, 200,000 wait"
    assert looked(surges, 13_000, waiting) == []
    (gone,) = looked(surges, 60_000, waiting)
    assert gone.incident.rule == "surge"
    assert looked(surges, 70_000, waiting) == []


def test_who_has_sent_nothing_yet_is_seen_coming_too() -> None:
    """A tenant that is in no figure of this hour, by what waits alone; a provider by its own."""
    surges = Surges(SURGE, TERMS, history_of(8))
    waiting = Waiting(tenants={"acme": 90_000}, providers={"gmail": 90_000})
    (coming,) = surges.look(NOW, {}, waiting, at(1))
    assert coming.incident.key == "acme"  # of the provider nothing is known
    of_gmail = Surges(SURGE, TERMS, history_of(8, scope="provider", key="gmail"))
    assert [one.incident.scope for one in of_gmail.look(NOW, {}, waiting, at(1))] == ["provider"]


def test_a_spread_wide_by_itself_makes_a_wider_limit() -> None:
    """Median + 5 x 1.4826 x MAD, where that is more than twice the median."""
    history = History(TERMS)
    for number, attempts in enumerate((100, 10_000, 20_000, 30_000, 40_000, 50_000), 1):
        history.put(volume("slot", "3", NOW - number * DAY, attempts=attempts))
    history.put(volume("slot", "3", NOW - 7 * DAY, attempts=1))
    base = baseline(history, "slot", "3", NOW, terms=SURGE, volumes=TERMS)
    assert base is not None
    assert base.median == 25_000
    assert base.limit == 25_000 + 5 * 1.4826 * 15_000


def test_days_without_mail_are_days_of_none() -> None:
    """A key that sent once a fortnight ago has a median of 0, and the least decides."""
    history = History(TERMS)
    history.put(volume("tenant", "acme", NOW - 13 * DAY, attempts=90_000))
    assert looked(Surges(SURGE, TERMS, history), 1_000) == []
    assert len(looked(Surges(SURGE, TERMS, history), 1_001)) == 1


def test_a_short_history_is_compared_with_all_its_hours() -> None:
    """Three days are too few same hours; their 36 hours with mail are enough."""
    history = history_of(3, hours=12)
    (firing,) = looked(Surges(SURGE, TERMS, history), 90_000)
    assert "of all its last 36 spans" in firing.incident.limit


def test_of_a_new_key_nothing_is_said() -> None:
    """No history, or a handful of hours: silence, whatever goes."""
    assert looked(Surges(SURGE, TERMS, History(TERMS)), 9_000_000) == []
    assert looked(Surges(SURGE, TERMS, history_of(2)), 9_000_000) == []


def test_a_successor_that_was_told_says_it_no_second_time() -> None:
    """Same id from the same span; remembered, it is silent, and in the next span it speaks again."""
    first, second = (looked(Surges(SURGE, TERMS, history_of(8)), 50_000)[0].incident for _ in range(2))
    assert first.incident_id == second.incident_id
    successor = Surges(SURGE, TERMS, history_of(8, hours=2))
    successor.remember(first, NOW)
    assert looked(successor, 60_000) == []
    later = successor.look(NOW + HOUR, {("tenant", "acme"): Figures(attempts=60_000)}, NOBODY, at(4000))
    assert len(list(later)) == 1


def test_switched_off_it_says_nothing() -> None:
    """`enabled = false`."""
    assert looked(Surges(SurgeTerms(enabled=False), TERMS, history_of(8)), 50_000) == []
