"""The bench of warming up: twenty days hold, an audit of a run that goes wrong does not, and the picture is one."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from datetime import date

import msgspec
import pytest

from streams.operate.bench.warmup import audit
from streams.operate.bench.warmup.days import Days, Passed
from streams.operate.bench.warmup.picture import draw
from streams.operate.bench.warmup.plan import BEGIN, NEW, Plan
from streams.operate.proof.checks import Check


@pytest.fixture(scope="module")
def passed() -> Passed:
    """Twenty days of 10,000 mails."""
    return Days(Plan(days=20, mails=10_000)).go(lambda _: None)


def failing(checks: list[Check]) -> set[str]:
    """Which don't hold."""
    return {one.name for one in checks if not one.ok}


def test_twenty_days_hold_what_they_must(passed: Passed) -> None:
    """Allowances, conservation, the curve, evenness; with take-overs, retries and bad days."""
    assert failing(audit.checks(passed)) == set()
    assert passed.taken_over > 50 and passed.retries > 1_000
    allowed = {limit for limit in audit.limits(passed).values() if limit is not None}
    assert {20, 26, 33} <= allowed, "the first days of a factor of 1.3"


def test_the_same_seed_has_the_same_days() -> None:
    """Whatever the run, to the mail."""
    plan = Plan(days=2, mails=2_000)
    first, second = (Days(plan).go(lambda _: None) for _ in range(2))
    assert (first.dealt, first.said) == (second.dealt, second.said)


def over(passed: Passed) -> None:
    """A gate that counts a deal too few: one mail beyond a day's allowance."""
    limits, dealt = audit.limits(passed), audit.by_day(passed)
    key = next(key for key, limit in limits.items() if limit is not None and dealt[key])
    passed.dealt[*key, 12] += (limits[key] or 0) - dealt[key] + 1
    passed.asked += (limits[key] or 0) - dealt[key] + 1


def lost(passed: Passed) -> None:
    """A mail that was never dealt."""
    passed.asked += 1


def early(passed: Passed) -> None:
    """All that a new IP sends goes in the day's first hour."""
    moved: Counter[tuple[int, str, int, int]] = Counter()
    for (slot, provider, day, hour), count in passed.dealt.items():
        moved[slot, provider, day, 0 if slot in NEW else hour] += count
    passed.dealt = moved


def leaping(passed: Passed) -> None:
    """A ledger that skips a stage."""
    at = next(number for number, word in enumerate(passed.said) if word.stage == 1)
    passed.said[at] = msgspec.structs.replace(passed.said[at], stage=3)


def silent(passed: Passed) -> None:
    """A ledger that forgets a day."""
    at = next(
        number
        for number, word in enumerate(passed.said)
        if word.provider == "gmail" and (date.fromisoformat(word.day) - BEGIN.date()).days == 3
    )
    del passed.said[at]


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (over, "over an allowance"),
        (lost, "dealt"),
        (early, "curve"),
        (leaping, "words unlike the plan"),
        (silent, "days unsaid"),
    ],
)
def test_a_run_that_goes_wrong_is_seen(passed: Passed, wrong: Callable[[Passed], None], check: str) -> None:
    """By the check that is there for it."""
    spoilt = copy.deepcopy(passed)
    wrong(spoilt)
    assert check in failing(audit.checks(spoilt))


def test_the_picture_is_an_svg_of_what_was_dealt(passed: Passed) -> None:
    """Well-formed, a bar for each day of each new IP at each provider shown, the same each time."""
    drawn = draw(passed)
    assert draw(passed) == drawn
    tree = ET.fromstring(drawn)
    bars = [one for one in tree.iter("{http://www.w3.org/2000/svg}rect") if one.get("fill") in {"#2b6cb0", "#90bfe8"}]
    assert len(bars) == 2 + 3 * 2 * 20, "two in the legend"
    assert "gmail" in drawn and "docomo" in drawn
