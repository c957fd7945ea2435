"""The ledger says each warming IP's day once, from the days before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from schemas import ids
from schemas.events import Volume, WarmupDay
from streams.control.history import History
from streams.control.loading import load
from streams.spread.providers import PROVIDERS
from streams.spread.warmup import warmup_terms
from streams.spread.warmup_ledger import WarmupLedger
from streams.views import World

START = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
NEXT = datetime(2026, 12, 2, 0, 15, tzinfo=UTC)


class Book:
    """A world with two warm IPs (0, 1) and one that warms up (2), and the ledger over it."""

    def __init__(self, **plan: Any) -> None:
        """Slot 2 begins at START."""
        self.world = World()
        self.volumes = History(load(None).volumes)
        self.volumes.ready = True
        self.slot(0)
        self.slot(1)
        self.slot(2, warmup={"started_at": START} | plan)
        self.restarted()

    def restarted(self) -> None:
        """A new CONTROL."""
        self.ledger = WarmupLedger(
            egress=self.world.egress,
            warmups=self.world.warmups,
            volumes=self.volumes,
            terms=warmup_terms(),
        )

    def words(self, now: datetime) -> list[WarmupDay]:
        """What is due."""
        return [one for provider in self.ledger.providers_due(now) for one in self.ledger.due(provider, now)]

    def slot(self, slot: int, **fields: Any) -> None:
        """Set an egress entry."""
        via = {"kind": "bind", "address": f"192.0.2.{slot}"}
        self.say("egress", str(slot), {"slot": slot, "via": via, "ehlo": "m.example"} | fields)

    def say(self, topic: str, key: str, event: Any) -> None:
        """Fold a record in."""
        self.world.apply(topic, key, msgspec.json.encode(event))

    def did(self, slot: int, begins_at: datetime, provider: str = "gmail", **figures: int) -> None:
        """A span's volume."""
        zero = dict.fromkeys(("attempts", "accepted", "bounced", "deferred", "complained"), 0)
        volume = Volume(
            scope="slot/provider", key=f"{slot}/{provider}", begins_at=begins_at, span_s=3_600, **(zero | figures)
        )
        self.volumes.put(volume)

    def due(self, now: datetime) -> list[WarmupDay]:
        """What is due; it then stands on the topic, as CONTROL writes it."""
        found = self.words(now)
        for one in found:
            self.say("warmups", ids.slot_provider_key(one.slot, one.provider), one)
        return found

    def gmail(self, now: datetime) -> WarmupDay:
        """What is due at gmail."""
        (one,) = [one for one in self.due(now) if one.provider == "gmail"]
        return one


def test_a_new_ip_has_its_first_day_at_once_at_each_provider() -> None:
    """Once; not before it begins, and not for the IPs that don't warm up."""
    book = Book()
    assert book.due(START - timedelta(seconds=1)) == []
    first = book.words(START)
    assert {one.provider for one in first} == PROVIDERS
    assert {(one.slot, one.day, one.stage, one.allowance) for one in first} == {(2, "2026-12-01", 0, 50)}
    assert book.words(START + timedelta(minutes=1)) == [], "said, though the topic does not show it yet"


def test_nothing_is_said_before_the_volumes_are_read() -> None:
    """A day that is judged without its figures would be taken for one of rest."""
    book = Book()
    book.volumes.ready = False
    assert book.words(START) == []


def test_who_takes_over_says_nothing_twice() -> None:
    """What the topic shows is said."""
    book = Book()
    book.due(START)
    book.restarted()
    assert book.words(START + timedelta(minutes=1)) == []
    other = Book()
    other.words(START)
    other.ledger.forget()
    assert other.words(START) != [], "what did not arrive is due still"


def test_a_good_day_is_followed_by_a_larger_one_a_quarter_past_midnight() -> None:
    """By then the day before is counted."""
    book = Book()
    book.due(START)
    book.did(2, START, attempts=30, accepted=30)
    book.did(2, START + timedelta(hours=2), attempts=20, accepted=19, deferred=1)
    for slot in (0, 1):
        book.did(slot, START, attempts=5_000, accepted=5_000)
    assert book.due(NEXT - timedelta(seconds=1)) == []
    found = book.gmail(NEXT)
    assert (found.day, found.stage, found.allowance) == ("2026-12-02", 1, 75)
    assert found.reason == "a good day: 50 sent, 1 deferred"
    # Of 10,050 mails 75: 75 / 9,975 of the two others' weight.
    assert found.weight == pytest.approx(75 / 9_975 * 2)


def test_a_day_of_rest_stands_still_and_a_bad_one_steps_back() -> None:
    """Another day is one step at most, however long the silence."""
    book = Book(initial_per_day=100)
    day, moved = START, []
    for figures in ({"attempts": 100}, {"attempts": 150}, {}, {"attempts": 150, "deferred": 60}, {"attempts": 150}):
        found = book.gmail(day)
        moved.append((found.stage, found.allowance))
        book.did(0, day, attempts=100_000)
        book.did(2, day, **figures)
        day = day.replace(hour=1) + timedelta(days=1)
    found = book.gmail(day + timedelta(days=9))
    moved.append((found.stage, found.allowance))
    assert moved == [(0, 100), (1, 150), (2, 225), (2, 225), (1, 150), (2, 225)]


def test_an_ip_is_warm_where_a_good_day_brings_it_above_its_share() -> None:
    """Of 300 mails over three IPs 100 are its share; a quiet day before does not hide that."""
    book = Book()
    book.due(START)
    for slot in (0, 1):
        book.did(slot, START - timedelta(days=3), attempts=150)
    book.did(2, START, attempts=50)
    assert book.gmail(NEXT).allowance == 75, "below 100"
    book.did(2, NEXT, attempts=75)
    found = book.gmail(NEXT + timedelta(days=1))
    assert (found.stage, found.allowance, found.weight) == (None, None, 1.0)
    assert found.reason == "warm: 112 a day is above its share, 100"
    assert [one for one in book.due(NEXT + timedelta(days=2)) if one.provider == "gmail"] == [], "for good"


def test_little_traffic_keeps_an_allowance_that_it_does_not_reach() -> None:
    """Where it may have all of its share, nothing is learned of more: a burst there goes over the others."""
    book = Book()
    book.due(START)
    for slot in range(3):
        book.did(slot, START, attempts=7)
    found = book.gmail(NEXT)
    assert (found.stage, found.allowance, found.weight) == (0, 50, 1.0)
    assert found.reason == "stands still: 7 of 50 were sent"


def test_a_warm_up_begun_anew_begins_at_its_first_day() -> None:
    """What was said of the one before does not count."""
    book = Book()
    book.due(START)
    book.did(2, START, attempts=50)
    book.due(NEXT)
    again = NEXT + timedelta(hours=2)
    book.slot(2, warmup={"started_at": again, "initial_per_day": 20})
    found = book.gmail(again)
    assert (found.stage, found.allowance, found.day) == (0, 20, "2026-12-02")


def test_a_provider_met_on_the_way_has_its_days_too() -> None:
    """One that is on no list, once mail went there; looked for each hour."""
    book = Book()
    book.due(START)
    book.did(0, START, provider="mx:mail.example", attempts=3)
    assert book.due(START + timedelta(minutes=5)) == []
    assert [one.provider for one in book.due(START + timedelta(hours=1))] == ["mx:mail.example"]


def test_two_that_warm_up_share_out_what_the_day_brings() -> None:
    """Each has its own allowance's part of the traffic, the warm ones the rest."""
    book = Book()
    book.slot(3, weight=2.0, warmup={"started_at": START, "initial_per_day": 100})
    for slot in (0, 1):
        book.did(slot, START - timedelta(days=1), attempts=500)
    weights = {one.slot: one.weight for one in book.due(START) if one.provider == "gmail"}
    everybody = 2 + weights[2] + 2 * weights[3]
    assert 1_000 * weights[2] / everybody == pytest.approx(50)
    assert 1_000 * 2 * weights[3] / everybody == pytest.approx(100)


def test_a_word_of_the_future_or_of_no_day_at_all_is_no_word() -> None:
    """A clock that ran ahead and was put right, a record that somebody made: the warm-up begins anew, and goes on."""
    book = Book()
    for day in ("2031-01-01", "2026-02-31"):
        book.restarted()
        word = {"slot": 2, "provider": "gmail", "day": day, "stage": 9, "allowance": 1_000, "weight": 1.0}
        book.say("warmups", "2/gmail", word | {"reason": "t", "at": START + timedelta(days=1)})
        found = book.gmail(START)
        assert (found.stage, found.allowance, found.day) == (0, 50, "2026-12-01")
        assert book.due(START + timedelta(seconds=1)) == [], "once"
