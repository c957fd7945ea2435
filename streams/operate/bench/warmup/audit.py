"""Judge the days by what was dealt, counted aside: allowances, conservation, the curve, evenness.

What a word of the ledger had to be is computed anew from the plan: first day, factor, one stage a day at most.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from statistics import mean, median
from typing import Any, Final

from streams.operate.bench.warmup.days import Passed
from streams.operate.bench.warmup.plan import BAD_DAYS, BEGIN, NEW, SHARES, WARM, Plan
from streams.operate.proof.checks import Check, at_least, at_most, named

# A day's allowance that is too small says nothing of a curve.
_TELLING: Final = 40
# The largest distance of the parts of a day's allowance that are gone from the parts of its traffic: a tenth is as if
# the IP were an hour or two ahead of the others.
CURVE: Final = 0.10
# Warm IPs' sums of a month, and a new IP's last week at the largest provider, may differ so much from an even share.
EVEN: Final = 0.01
JOINED: Final = 0.05
_WEEK: Final = 7
_LARGEST: Final = max(SHARES, key=SHARES.__getitem__)

Limits = dict[tuple[int, str, int], int | None]


def limits(passed: Passed) -> Limits:
    """The allowance that was said for each warming IP, provider and day; None = warm, on that day and all later."""
    found: Limits = {}
    for word in passed.said:
        day = (date.fromisoformat(word.day) - BEGIN.date()).days
        found[word.slot, word.provider, day] = word.allowance
        if word.allowance is None:
            found |= {(word.slot, word.provider, later): None for later in range(day, passed.plan.days)}
    return found


def by_day(passed: Passed) -> Counter[tuple[int, str, int]]:
    """Mails dealt by slot, provider and day."""
    found: Counter[tuple[int, str, int]] = Counter()
    for (slot, provider, day, _), count in passed.dealt.items():
        found[slot, provider, day] += count
    return found


def checks(passed: Passed) -> list[Check]:
    """What must hold."""
    allowed, dealt = limits(passed), by_day(passed)
    over = {
        f"IP {slot} at {provider}, day {day + 1}: {dealt[slot, provider, day]} of {limit}": dealt[slot, provider, day]
        - limit
        for (slot, provider, day), limit in allowed.items()
        if limit is not None and dealt[slot, provider, day] > limit
    }
    unsaid = [key for key in dealt if key[0] in NEW and key not in allowed]
    first = sum(dealt.values()) - passed.retries
    strange = list(_strange(passed))
    gaps = [gap for _, gap in curve(passed)]
    sums = [sum(count for (slot, _, _), count in dealt.items() if slot == one) for one in range(WARM)]
    return [
        at_least("dealt", first, passed.asked, f"{passed.retries:,} retries aside; {passed.waited} found no IP"),
        at_most("waited", passed.waited, 0, "the warm IPs take what is beyond an allowance"),
        at_most("over an allowance", max(over.values(), default=0), 0, named(over) or "retries count as well"),
        at_most("days unsaid", len(unsaid), 0, "each day of a warming IP has its word, or it is warm"),
        at_most("words unlike the plan", len(strange), 0, named(strange) or "first day, factor, one stage a day"),
        at_least("steps back", stepped_back(passed), len(NEW), f"after a bad day at {_LARGEST}"),
        at_most("curve", median(gaps or [1.0]), CURVE, "how far a warming IP is from the day's traffic, median"),
        at_most("warm IPs differ", (max(sums) - min(sums)) / mean(sums), EVEN, "of their mean, all days together"),
        at_most("joined", joined(passed), JOINED, f"how far from an even share at {_LARGEST} in the last week"),
    ]


def figures(passed: Passed) -> dict[str, Any]:
    """What the run was like."""
    warm_on = {
        f"{word.slot}/{word.provider}": (date.fromisoformat(word.day) - BEGIN.date()).days + 1
        for word in passed.said
        if word.allowance is None
    }
    return {
        "days": passed.plan.days,
        "mails": passed.asked,
        "retries": passed.retries,
        "taken_over": passed.taken_over,
        "warm_on_day": warm_on,
        "curve_worst": round(max((gap for _, gap in curve(passed)), default=0.0), 3),
    }


def _strange(passed: Passed) -> Iterator[str]:
    """Words that the plan does not allow."""
    before: dict[tuple[int, str], int] = {}
    for word in passed.said:
        place, name = (word.slot, word.provider), f"IP {word.slot} at {word.provider}, {word.day}"
        if word.allowance is None or word.stage is None:
            continue
        if abs(word.allowance - _power(passed.plan, word.stage)) > 1:  # it is rounded down
            yield f"{name}: {word.allowance} at stage {word.stage}"
        last = before.get(place)
        if (last is None and word.stage) or (last is not None and abs(word.stage - last) > 1):
            yield f"{name}: from stage {last} to {word.stage}"
        before[place] = word.stage


def _power(plan: Plan, stage: int) -> float:
    found = float(plan.initial)
    for _ in range(stage):
        found *= plan.factor
    return found


def stepped_back(passed: Passed) -> int:
    """How many new IPs had less at the largest provider on the day after one of its bad days than on that day."""
    allowed = limits(passed)
    bad = [day for provider, day in BAD_DAYS if provider == _LARGEST]
    return sum(
        any(
            (allowed.get((slot, _LARGEST, day + 1)) or 0) < (allowed.get((slot, _LARGEST, day)) or 0)
            for day in bad
            if allowed.get((slot, _LARGEST, day + 1)) is not None
        )
        for slot in NEW
    )


def curve(passed: Passed) -> Iterator[tuple[tuple[int, str, int], float]]:
    """For each day of a warming IP: the largest distance, at an hour's end, from the curve of the day's traffic."""
    hours: dict[tuple[int, str, int], list[int]] = defaultdict(lambda: [0] * 24)
    whole: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0] * 24)
    for (slot, provider, day, hour), count in passed.dealt.items():
        hours[slot, provider, day][hour] += count
        whole[provider, day][hour] += count
    for key, limit in limits(passed).items():
        _, provider, day = key
        if limit is None or limit < _TELLING or not any(hours[key]):
            continue
        own, pool = _parts(hours[key]), _parts(whole[provider, day])
        yield key, max(abs(one - other) for one, other in zip(own, pool, strict=True))


def _parts(hours: list[int]) -> list[float]:
    total, gone = sum(hours), 0
    found = []
    for count in hours:
        gone += count
        found.append(gone / total)
    return found


def joined(passed: Passed) -> float:
    """The new IPs' largest distance from an even share at the largest provider in the last week; 1.0 = not warm."""
    dealt, days = by_day(passed), range(passed.plan.days - _WEEK, passed.plan.days)
    sums = {slot: sum(dealt[slot, _LARGEST, day] for day in days) for slot in (*range(WARM), *NEW)}
    even = mean(sums.values())
    return max(abs(sums[slot] - even) / even for slot in NEW) if even else 1.0
