"""What part of a pool's mail to one provider each sending IP gets: a pure function of all that is said of the IP.

    weight = egress.weight x warm-up's weight of today x condition x slow_to

1. The IP must be active, its weight above 0, its sender not standing still (`held`), no control may stop it.  A control
   with `slow_to` leaves the IP that part of its share, so that it counts also where no rate is known; the others take
   the rest, and its sender slows by as much where there is a rate.
2. A warming IP has a weight and an allowance for each provider and day.  Before CONTROL's first word it has those of
   the first day; until today's word the allowance that this can't fall short of, one stage below the last.
3. A condition lowers the weight to 1/2, 1/4 … 1/64 where the IP may send that part of its limit.  In steps, so that
   weights change rarely: each change adds one send to what a window of deals may deviate (streams.spread.dealing).

0 is left out.  `changes_at` says when time alone makes another answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from schemas.events import Condition, Control, Egress, WarmupDay
from streams.spread.warmup import UNKNOWN_VOLUME_WEIGHT, allowance_of

Target = Literal["campaign", "slot", "tenant"]

# Each is taken down to the middle between it and the next: a rate that wavers by a tenth moves no weight.
# Down to 1/64: the tightest IP for its share bounds its whole pool at the provider (choice 14), and of sixteen at 50 a
# second one that takes 0.5 leaves the pool 480 by its 1/64, where by 1/8 it would leave it 60.
STEPS: Final = (*((0.75 / 2**step, 1 / 2**step) for step in range(6)), (0.0, 1 / 64))
# A sender tells a condition that is not good each 30 s: after three it missed, nothing is known any more.
CONDITION_S: Final = 90.0
_FRESH: Final = timedelta(seconds=CONDITION_S)
NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What is said of one slot, and of it at one provider; `controls` are all on the slot, also other providers'."""

    egress: Egress
    controls: tuple[Control, ...] = ()
    held: bool = False
    condition: Condition | None = None
    warmup: WarmupDay | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Weighed:
    """A slot's weight at a provider, with what it is made of.

    `closed` says in words why the weight is 0.  `allowance` is of all gate partitions together, for the UTC day; None
    = no limit.
    """

    weight: float
    changes_at: datetime
    warmup: float = 1.0
    condition: float = 1.0
    slowed: float = 1.0
    allowance: int | None = None
    closed: str = ""


def weigh(said: Said, provider: str, now: datetime) -> Weighed:
    """The weight of one slot for mail to `provider`; an empty one: whatever the provider."""
    changes = [one.until for one in said.controls if one.until is not None and one.until > now]
    reason = closed(said.egress, said.controls, provider, now)
    if not reason and said.held:
        reason = "its sender stands still"
    plan = said.egress.warmup
    if plan is not None and plan.started_at > now:
        changes.append(plan.started_at)
        reason = reason or f"its warm-up begins at {plan.started_at.isoformat()}"
    warmup, allowance = 1.0, None
    if plan is not None:
        changes.append(next_day(now))
        if provider:
            warmup, allowance = _warming(said.egress, said.warmup, day_of(now))
    factor = 1.0
    if said.condition is not None:
        factor, until = condition_factor(said.condition, now)
        changes.append(until)
        if not factor and not reason:
            reason = f"blocked: {said.condition.evidence or 'as its sender says'}"
    slowed = slowed_to(said.controls, provider, now)
    weight = said.egress.weight * warmup * factor * slowed
    if not reason and weight <= 0:
        reason = "its weight is 0"
    return Weighed(
        weight=0.0 if reason else weight,
        changes_at=min(changes, default=NEVER),
        warmup=warmup,
        condition=factor,
        slowed=slowed,
        allowance=allowance,
        closed=reason,
    )


def closed(egress: Egress, controls: Iterable[Control], provider: str, now: datetime) -> str:
    """Why nothing goes to this provider from the slot, also of what is queued there already; empty = it is open."""
    if egress.state != "active":
        return f"egress state is {egress.state}"
    stop = next((one for one in standing(controls, provider, now) if one.slow_to is None), None)
    return "" if stop is None else f"{stop.state} by {stop.by}" + (f": {stop.reason}" if stop.reason else "")


def standing(controls: Iterable[Control], provider: str, now: datetime) -> list[Control]:
    """Those that count now for mail to this provider."""
    return [
        one for one in controls if (one.until is None or now < one.until) and one.provider in {None, provider or None}
    ]


def slowed_to(controls: Iterable[Control], provider: str, now: datetime) -> float:
    """The part of its rate that is left by the strictest control that slows; 1.0 = not slowed."""
    return min((one.slow_to for one in standing(controls, provider, now) if one.slow_to is not None), default=1.0)


def condition_factor(condition: Condition, now: datetime) -> tuple[float, datetime]:
    """(factor of the weight, when that ends by itself): 0 while blocked, else the learned part of the limit."""
    if condition.health == "blocked" and condition.until is not None:
        return (0.0, condition.until) if now < condition.until else (1.0, NEVER)
    if not -_FRESH < now - condition.at < _FRESH:
        return 1.0, NEVER
    until = condition.at + _FRESH
    if condition.health == "blocked":
        return 0.0, until
    if condition.rate_per_s is None or not condition.limit_per_s:
        return 1.0, NEVER
    part = condition.rate_per_s / condition.limit_per_s
    factor = next(step for least, step in STEPS if part >= least)
    return factor, NEVER if factor == 1.0 else until


def _warming(egress: Egress, word: WarmupDay | None, day: str) -> tuple[float, int | None]:
    """(part of the weight, allowance a day)."""
    plan = egress.warmup
    if plan is None:
        return 1.0, None
    if word is None or word.at < plan.started_at:  # a word on an earlier warm-up of this slot
        return UNKNOWN_VOLUME_WEIGHT, plan.initial_per_day
    if word.stage is None or word.allowance is None or word.day == day:
        return word.weight, word.allowance
    return word.weight, min(word.allowance, allowance_of(plan, max(0, word.stage - 1)))


def day_of(now: datetime) -> str:
    """The UTC day, as warm-up days are named."""
    return now.astimezone(UTC).date().isoformat()


def next_day(now: datetime) -> datetime:
    """The next midnight, in UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
