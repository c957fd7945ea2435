"""One slot's limits: what it waits for, what it tells of its providers, and how it goes on from its former owner."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from schemas.events import Condition, Outcome
from streams.delivery.outcomes import OutcomeSettings, concluded
from streams.delivery.shaping import Limits, Shaping
from streams.delivery.slot_limits import TOLD_EVERY_S, Moment, SlotLimits, reply_of
from streams.delivery.smtp import Result
from tests.compose.builders import send

BEGIN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SETTINGS = OutcomeSettings(address_key=b"k" * 32)


def at(s: float) -> Moment:
    """So many seconds after the beginning."""
    return Moment(s, BEGIN + timedelta(seconds=s))


def outcome(code: int | None, class_: str, text: str = "") -> Outcome:
    """What became of an attempt."""
    disposition = "accepted" if class_ == "accepted" else "soft"
    enhanced = text.partition(" ")[0]
    result = Result(
        disposition=disposition,
        class_=class_,
        smtp_code=code,
        enhanced=enhanced,
        reply=text,
        stage="mail",
        via="",
    )
    one = msgspec.structs.replace(send(), expire_at=BEGIN + timedelta(days=1))
    return concluded(one, result, BEGIN, SETTINGS, jitter=0.0)


TAKEN = outcome(250, "accepted")
SLOWER = outcome(451, "throttled", "4.7.0 too many messages, slow down")


def limits(
    named: dict[str, Limits] | None = None, *, before: dict[str, Condition] | None = None, slow_to: float = 1.0
) -> SlotLimits:
    """Slot 3's."""
    shaping = Shaping(Limits(), named or {})
    return SlotLimits(3, shaping, connections=10, before=before or {}, slow_to=lambda _provider, _at: slow_to)


def one_goes(slot: SlotLimits, provider: str, s: float, *, came_to: Outcome) -> bool:
    """An attempt, as soon as it may."""
    assert slot.wait_s(provider, at(s)) == 0
    return slot.end(slot.begin(provider, at(s)), came_to, at(s + 0.01))


def slower(slot: SlotLimits, provider: str, s: float) -> None:
    """Throttled twice within seconds, with a mail that was taken between: that is believed, however little goes."""
    one_goes(slot, provider, s, came_to=SLOWER)
    one_goes(slot, provider, s + 3, came_to=TAKEN)
    one_goes(slot, provider, s + 4, came_to=SLOWER)


def test_an_outcome_says_of_the_door_what_the_receiver_said() -> None:
    """A refusal of us is no sign that the rate is right; a full mailbox is."""
    assert reply_of(TAKEN) == "open"
    assert reply_of(outcome(452, "mailbox_full")) == "open"
    assert reply_of(SLOWER) == "throttled"
    assert reply_of(outcome(450, "throttled", "4.2.1 The user is receiving mail at a rate that …")) == "open"
    assert reply_of(outcome(554, "policy")) == "none"
    assert reply_of(outcome(None, "timeout")) == "none"
    assert reply_of(None) == "none"


def test_a_turn_ends_once() -> None:
    """Whoever ends it twice changes nothing."""
    slot = limits({"gmail": Limits(connections=1)})
    turn = slot.begin("gmail", at(0))
    assert slot.wait_s("gmail", at(1)) == math.inf
    assert slot.wait_s("docomo", at(1)) == 0
    slot.end(turn, None, at(1))
    slot.end(turn, TAKEN, at(1))
    assert slot.wait_s("gmail", at(1)) == 0


def test_what_is_learned_is_told_at_once_with_its_evidence_and_then_each_half_minute() -> None:
    """The rate is told as it was, so long as it stays near: a swing around the limit is one word."""
    slot = limits({"gmail": Limits(messages_per_s=10)})
    for number in range(100):
        one_goes(slot, "gmail", 1 + number * 0.11, came_to=TAKEN)
    assert slot.news(at(12)) == {}
    assert one_goes(slot, "gmail", 12.5, came_to=SLOWER)
    (told,) = slot.news(at(13)).values()
    assert told is not None
    assert (told.slot, told.provider, told.health, told.limit_per_s) == (3, "gmail", "throttled", 10)
    assert told.evidence == "4.7.0 too many messages, slow down"
    assert told.rate_per_s is not None and told.rate_per_s < 10
    assert slot.news(at(14)) == {}
    again = slot.news(at(13 + TOLD_EVERY_S))
    assert again == {"3/gmail": msgspec.structs.replace(told, at=at(13 + TOLD_EVERY_S).at)}
    slot.untold("gmail")
    assert set(slot.news(at(50))) == {"3/gmail"}
    assert slot.troubled() == {"gmail": "throttled"}


def test_who_recovers_is_told_good_and_a_host_of_no_name_is_taken_back() -> None:
    """Else a topic that keeps the last word of each key would grow with every host that was ever slow."""
    for provider, last in (("gmail", "good"), ("mx:hoster.example", None)):
        slot = limits({provider: Limits(messages_per_s=2)})
        slower(slot, provider, 1)
        assert len(slot.news(at(6))) == 1
        now, said = 8.0, dict[str, Condition | None]()
        while not said:
            now += max(0.5, slot.wait_s(provider, at(now)))
            one_goes(slot, provider, now, came_to=TAKEN)
            told = slot.news(at(now))
            said = {} if any(one is not None and one.health == "throttled" for one in told.values()) else told
        (condition,) = said.values()
        assert (condition and condition.health) == last
        assert slot.troubled() == {}


def test_a_days_messages_used_up_are_told_as_blocked_until_midnight() -> None:
    """And the next day begins anew."""
    slot = limits({"docomo": Limits(messages_per_day=2)})
    one_goes(slot, "docomo", 0, came_to=TAKEN)
    assert slot.closed_until("docomo", at(0.5)) is None
    one_goes(slot, "docomo", 1, came_to=TAKEN)
    midnight = datetime(2026, 11, 25, tzinfo=UTC)
    assert slot.closed_until("docomo", at(2)) == midnight
    told = slot.news(at(2))["3/docomo"]
    assert told is not None and (told.health, told.until) == ("blocked", midnight)
    tomorrow = at((midnight - BEGIN).total_seconds() + 1)
    assert slot.closed_until("docomo", tomorrow) is None
    again = slot.news(tomorrow)["3/docomo"]
    assert again is not None and again.health == "good"


def test_what_ends_after_midnight_gives_back_no_place_of_the_new_day() -> None:
    """Two began yesterday and reached nobody: of today's two messages one is left, not three."""
    slot = limits({"docomo": Limits(messages_per_day=2)})
    midnight_s = (datetime(2026, 11, 25, tzinfo=UTC) - BEGIN).total_seconds()
    yesterday = []
    for before_s in (2, 1):
        assert slot.wait_s("docomo", at(midnight_s - before_s)) == 0
        yesterday.append(slot.begin("docomo", at(midnight_s - before_s)))
    one_goes(slot, "docomo", midnight_s + 1, came_to=TAKEN)
    for turn in yesterday:
        slot.end(turn, None, at(midnight_s + 2))
    assert slot.today(at(midnight_s + 3)) == (date(2026, 11, 25), {"docomo": 1})


def test_a_new_owner_goes_on_from_what_was_told_lately() -> None:
    """Not from what is a quarter of an hour old."""
    told = Condition(
        slot=3, provider="gmail", health="throttled", at=BEGIN, rate_per_s=2.0, limit_per_s=50, evidence="slow down"
    )
    slot = limits(before={"3/gmail": told})
    one_goes(slot, "gmail", 60, came_to=TAKEN)
    assert 0.4 < slot.wait_s("gmail", at(60.02)) < 0.5
    (again,) = slot.news(at(61)).values()
    assert again is not None and again.evidence == "slow down"
    late = limits(before={"3/gmail": told})
    one_goes(late, "gmail", 1000, came_to=TAKEN)
    assert late.wait_s("gmail", at(1000.02)) == 0


def test_a_control_slows_it() -> None:
    """To the part that it names of what would go else."""
    slot = limits({"gmail": Limits(messages_per_s=10)}, slow_to=0.1)
    one_goes(slot, "gmail", 1, came_to=TAKEN)
    assert 0.9 < slot.wait_s("gmail", at(1.02)) < 1


def test_who_goes_back_gets_a_place_of_its_own() -> None:
    """Ten that come back at once are due one after the other, at the rate that may go; others come back spread."""
    slot = limits({"gmail": Limits(messages_per_s=2)})
    slot.begin("gmail", at(0))
    places = [slot.place_s("gmail", at(0.1), ahead=20, most_s=60) for _ in range(10)]
    assert places == sorted(places)
    assert all(abs(later - earlier - 0.5) < 0.01 for earlier, later in itertools.pairwise(places))
    assert 10 <= places[0] <= 11
    late = [slot.place_s("gmail", at(0.1), ahead=20, most_s=60) for _ in range(1000)][200:]
    assert 30 <= min(late) < 31 and 59 < max(late) <= 60
    assert max(sum(second <= one < second + 1 for one in late) for second in range(30, 60)) <= 2 * len(late) / 30


def test_who_waits_for_an_attempts_end_comes_back_soon_and_puts_nobody_behind_it_off() -> None:
    """After a throttled reply one message asks: until it is answered nobody knows a place, and that is not the last."""
    slot = limits()
    for number in range(20):
        one_goes(slot, "gmail", number / 2, came_to=TAKEN)
    one_goes(slot, "gmail", 10, came_to=SLOWER)
    asks = slot.begin("gmail", at(13))
    assert slot.wait_s("gmail", at(13.1)) == math.inf
    assert slot.place_s("gmail", at(13.1), ahead=5, most_s=600) < 10
    slot.end(asks, TAKEN, at(13.2))
    assert slot.place_s("gmail", at(13.3), ahead=0, most_s=600) < 10


def test_providers_that_did_nothing_lately_are_forgotten() -> None:
    """A tail of hosts does not stay in memory, what is known of one in trouble does."""
    slot = limits()
    one_goes(slot, "mx:slow.example", 0, came_to=SLOWER)
    for number in range(6000):
        turn = slot.begin(f"mx:{number}", at(number))
        slot.end(turn, None, at(number))
    assert len(slot._known) <= 5001
    assert slot.wait_s("mx:slow.example", at(1)) > 0


def test_what_was_learned_of_a_host_that_gets_no_more_mail_is_taken_back() -> None:
    """As many hosts as a bought list has domains, each throttled once: an hour later nothing is left of them."""
    slot = limits()
    for number in range(50):
        slower(slot, f"mx:{number}.example", 0)
    slower(slot, "gmail", 0)
    assert len(slot.news(at(5))) == 51
    assert len(slot.news(at(3_590))) == 51
    taken_back = slot.news(at(3_610))
    assert [key for key, word in taken_back.items() if word is not None] == []
    assert len(taken_back) == 50
    assert set(slot._known) == {"gmail"}


def test_a_default_for_the_day_does_not_remember_every_host_for_ever() -> None:
    """What a commit keeps is bounded, and what nobody was sent today is forgotten by the next day."""
    slot = SlotLimits(3, Shaping(Limits(messages_per_day=9), {}), connections=10, before={})
    for number in range(5_500):
        one_goes(slot, f"mx:{number}.example", number, came_to=TAKEN)
    assert len(slot.today(at(5_500))[1]) == 5_000
    tomorrow = at(90_000)
    for number in range(10):
        slot.wait_s(f"mx:new-{number}.example", tomorrow)
    assert slot.today(tomorrow)[1] == {}
    assert len(slot._known) <= 5_000


def test_a_condition_from_beyond_the_calendar_stops_no_slot() -> None:
    """Whatever stands in the topic, its mail goes (G8)."""
    nonsense = msgspec.convert(
        {"slot": 3, "provider": "gmail", "health": "throttled", "at": "9999-12-31T23:59:59Z", "rate_per_s": 1.0},
        Condition,
    )
    assert limits(before={"3/gmail": nonsense}).wait_s("gmail", at(0)) == 0


def test_a_control_slows_what_has_no_limit_too() -> None:
    """Half of the 50 a second that went, also where each IP of the pool is slowed alike; the gates are told why."""
    share = 1.0
    slot = SlotLimits(3, Shaping(Limits(), {}), connections=10, before={}, slow_to=lambda _provider, _at: share)
    for number in range(500):
        one_goes(slot, "gmail", number / 50, came_to=TAKEN)
    assert not slot.is_rated("gmail", at(10))
    share, now, went = 0.5, 10.0, 0
    while now < 20.0:
        now += 0.001
        if slot.wait_s("gmail", at(now)) == 0:
            slot.end(slot.begin("gmail", at(now)), TAKEN, at(now))
            went += 1
    assert went == pytest.approx(250, rel=0.15)
    (told,) = slot.news(at(20)).values()
    assert told is not None and told.rate_per_s == pytest.approx(50, rel=0.2)
    assert told.evidence == "slowed to 0.5 of what went"


def test_a_days_count_outlives_its_owner() -> None:
    """Three of four went by the last commit: the next owner sends one; on another day all four."""
    named = {"docomo": Limits(messages_per_day=4), "gmail": Limits()}
    former = limits(named)
    for number in range(3):
        one_goes(former, "docomo", number, came_to=TAKEN)
        one_goes(former, "gmail", number, came_to=TAKEN)
    today, kept = former.today(at(3))
    assert (today, kept) == (date(2026, 11, 24), {"docomo": 3})
    for day, left in ((today, 1), (today - timedelta(days=1), 4)):
        slot = limits(named)
        slot.resume_day(day, kept, at(10))
        for number in range(left):
            assert slot.closed_until("docomo", at(11)) is None
            one_goes(slot, "docomo", 11 + number, came_to=TAKEN)
        assert slot.closed_until("docomo", at(20)) is not None
    former.resume_day(today, {"docomo": 2}, at(4))
    assert former.today(at(5)) == (today, {"docomo": 3})


def test_a_days_count_outlives_a_clock_that_is_set_back_over_midnight() -> None:
    """A commit at 23:59 of the day before tells the day that is counted; whoever goes on has it, at either time."""
    named = {"docomo": Limits(messages_per_day=4)}
    former = limits(named)
    for number in range(3):
        one_goes(former, "docomo", number, came_to=TAKEN)
    before_s = -60.0 - (BEGIN - datetime.combine(BEGIN.date(), datetime.min.time(), UTC)).total_seconds()
    day, kept = former.today(at(before_s))
    assert (day, kept) == (BEGIN.date(), {"docomo": 3})
    for now in (before_s, 10.0):
        slot = limits(named)
        slot.resume_day(day, kept, at(now))
        one_goes(slot, "docomo", now, came_to=TAKEN)
        assert slot.closed_until("docomo", at(now + 1)) is not None
