"""Volumes are counted once, in the span of the delivery's own time, however often it is read."""

import random
from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Volume
from streams.control.figures import Figures
from streams.control.history import History
from streams.control.volumes import Volumes, recount_from, span_of, volume_key
from tests.control.builders import HOUR, NOW, TERMS, at, seen, volume


def by_key(volumes: list[Volume]) -> dict[str, Volume]:
    """The published records under their keys."""
    return {volume_key(one): one for one in volumes}


def test_a_delivery_counts_for_slot_provider_both_and_tenant() -> None:
    """Each type in its own figure; `attempts` what asked a receiver, `dead` the dead addresses."""
    volumes = Volumes(TERMS, since=NOW)
    for type_, class_ in (
        ("accepted", "accepted"),
        ("bounced", "user_unknown"),
        ("bounced", "policy"),
        ("deferred", "greylisted"),
        ("complained", ""),
        ("late_bounce", "user_unknown"),
        ("uncertain", "timeout"),
        ("capped", ""),
        ("waiting", "paused"),
    ):
        volumes.add(seen(type=type_, class_=class_), NOW.timestamp())
    found = by_key(list(volumes.changed()))
    assert set(found) == {
        "slot/3/2026-12-01T03:00Z",
        "provider/gmail/2026-12-01T03:00Z",
        "slot/provider/3/gmail/2026-12-01T03:00Z",
        "tenant/acme/2026-12-01T03:00Z",
    }
    for one in found.values():
        assert (one.attempts, one.accepted, one.bounced, one.deferred, one.complained, one.dead) == (5, 1, 2, 1, 1, 2)
    assert list(volumes.changed()) == []


def test_an_expiry_behind_a_last_refusal_was_an_attempt() -> None:
    """One in the waiting room was none."""
    volumes = Volumes(TERMS, since=NOW)
    volumes.add(seen(type="expired", class_="greylisted", smtp_code=450), NOW.timestamp())
    volumes.add(seen(type="expired", class_="too_late", smtp_code=None), NOW.timestamp())
    assert volumes.figures(NOW)["tenant", "acme"] == Figures(attempts=1)


def test_providers_by_mx_hosts_alone_are_other() -> None:
    """Tens of thousands of names would be as many records an hour."""
    volumes = Volumes(TERMS, since=NOW)
    volumes.add(seen(provider="mx:example.org"), NOW.timestamp())
    assert ("provider", "other") in volumes.figures(NOW)


def test_a_record_may_come_up_to_the_grace_after_its_spans_end() -> None:
    """A second later it counts in no span, and is counted as late."""
    volumes = Volumes(TERMS, since=NOW)
    end = (NOW + HOUR + TERMS.grace).timestamp()
    volumes.add(seen(), end)
    volumes.add(seen(), end + 1)
    assert volumes.figures(NOW)["slot", "3"].attempts == 1
    assert volumes.late == 1


def test_a_clock_that_runs_ahead_opens_no_span_of_the_future() -> None:
    """A delivery from tomorrow counts when its record came."""
    volumes = Volumes(TERMS, since=NOW)
    volumes.add(seen(at=at(86_400)), NOW.timestamp() + 5)
    assert volumes.open() == (NOW,)


def test_spans_close_when_the_reader_has_passed_their_grace() -> None:
    """Not a second before."""
    volumes = Volumes(TERMS, since=NOW)
    volumes.add(seen(), NOW.timestamp())
    volumes.close(NOW + HOUR + TERMS.grace)
    assert volumes.open() == (NOW,)
    volumes.close(NOW + HOUR + TERMS.grace + timedelta(seconds=1))
    assert volumes.open() == ()


def test_a_new_owner_counts_again_from_the_span_before_the_latest() -> None:
    """The latest may not be whole, nor the one before, whose grace ended in it; nothing known: all that is allowed."""
    day = timedelta(days=1)
    now = NOW + timedelta(minutes=20)
    assert recount_from(NOW, now, TERMS, at_most=day) == NOW - HOUR
    assert recount_from(NOW - 5 * HOUR, now, TERMS, at_most=day) == NOW - 6 * HOUR
    assert recount_from(NOW - 50 * HOUR, now, TERMS, at_most=day) == NOW - 24 * HOUR
    assert recount_from(None, now, TERMS, at_most=day) == NOW - 24 * HOUR


def test_a_span_of_the_future_does_not_keep_a_new_owner_from_counting() -> None:
    """A sender's clock ran a year ahead: what is counted again ends no later than now."""
    now = NOW + timedelta(minutes=20)
    assert recount_from(NOW + timedelta(days=365), now, TERMS, at_most=timedelta(days=1)) == NOW - HOUR


@given(seed=st.integers(0, 10_000), restarts=st.lists(st.floats(0, 4 * 3600), max_size=4))
def test_whoever_took_over_and_when_the_published_figures_are_a_plain_count(seed: int, restarts: list[float]) -> None:
    """Four hours of deliveries, each record a while later; owners end at any time, and lose what they knew."""
    chance = random.Random(seed)
    deliveries = [(chance.uniform(0, 4 * 3600), chance.choice((0, 1, 60, 590, 700))) for _ in range(120)]
    records = sorted((second + delay, second) for second, delay in deliveries)
    history: dict[str, Volume] = {}
    latest = None
    for begin, end in zip([0.0, *sorted(restarts)], [*sorted(restarts), 6 * 3600.0], strict=True):
        since = recount_from(latest, at(begin), TERMS, at_most=timedelta(days=1))
        volumes = Volumes(TERMS, since=since)
        for arrived, second in records:
            if at(arrived) < since or arrived > end:
                continue
            volumes.add(seen(at=at(second)), at(arrived).timestamp())
            if arrived >= begin:  # caught up: from here on it publishes
                history |= by_key(list(volumes.changed()))
                volumes.close(at(arrived))
        if end > begin:
            history |= by_key(list(volumes.changed()))
        latest = max((one.begins_at for one in history.values()), default=None)
    plain = Counter(
        span_of(at(second), TERMS)
        for arrived, second in records
        if at(arrived) <= span_of(at(second), TERMS) + HOUR + TERMS.grace
    )
    assert {one.begins_at: one.attempts for key, one in history.items() if key.startswith("tenant/")} == plain


def test_history_holds_the_latest_word_on_each_span() -> None:
    """Put twice, the second stands; days are sums; what is not there is zero."""
    history = History(TERMS)
    history.put(volume("tenant", "acme", NOW, attempts=5, dead=1))
    history.put(volume("tenant", "acme", NOW, attempts=7, dead=2))
    history.put(volume("tenant", "acme", NOW + HOUR, attempts=10))
    assert history.span("tenant", "acme", NOW) == Figures(attempts=7, dead=2)
    assert history.day("tenant", "acme", NOW.date()) == Figures(attempts=17, dead=2)
    assert history.span("tenant", "acme", NOW + 2 * HOUR) == history.span("tenant", "other", NOW) == Figures()
    assert history.first_day("tenant", "acme") == NOW.date()
    assert history.latest == NOW + HOUR


def test_a_figure_beyond_all_mail_is_kept_as_the_largest() -> None:
    """Whoever reads the topic goes on."""
    history = History(TERMS)
    history.put(volume("slot", "3", NOW, attempts=2**40))
    assert history.span("slot", "3", NOW).attempts == 2**32 - 1


def test_what_is_older_than_it_is_kept_is_given_for_its_tombstones() -> None:
    """A whole day at a time, once, by the keys that it was written under."""
    history = History(TERMS)
    history.put(volume("slot/provider", "3/gmail", NOW, attempts=5))
    history.put(volume("slot/provider", "3/gmail", NOW + HOUR, bounced=1))
    assert list(history.expire(NOW + timedelta(days=15))) == []
    gone = [volume_key(one) for one in history.expire(NOW + timedelta(days=16))]
    assert gone == ["slot/provider/3/gmail/2026-12-01T03:00Z", "slot/provider/3/gmail/2026-12-01T04:00Z"]
    assert list(history.expire(NOW + timedelta(days=16))) == []


def test_spans_of_another_length_are_no_history() -> None:
    """The setting has changed since: an hour is not compared with ten minutes."""
    history = History(TERMS)
    one = volume("slot", "3", NOW, attempts=5)
    history.put(Volume(**{name: getattr(one, name) for name in one.__struct_fields__} | {"span_s": 600}))
    assert history.first_day("slot", "3") is None
