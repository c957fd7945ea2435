"""A new IP gets known: how much it may send to each provider on a day, and what that follows from.  Pure.

1. The first day has `initial_per_day`; each good day multiplies it by `factor` (its `stage` counts them).
2. A day is judged by its deferrals and complaints (warmup.toml): it goes on, stands still or steps back one stage.  A
   day on which most of the allowance was not sent stands still, too.  A day before CONTROL's word never has more than
   that word will allow (streams.spread.weights).
3. Once a good day brings the allowance above the IP's even share of the day's traffic, the IP is warm there: no limit.
4. The weight spreads the allowance over the day: the IP's part of the expected traffic is what it may send.  It rests
   on a guess, so gates count as well (streams.gate.quotas), and each has a part of the allowance.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Final, Literal, Protocol

from schemas.events import Warmup

# Of an IP's full weight, on the first day at a provider whose volume nobody knows yet.  Its allowance bounds what it
# does; a sixteenth keeps that from going out in the day's first minutes where the provider is large.
UNKNOWN_VOLUME_WEIGHT: Final = 1 / 16
# Beyond any day's mail to one provider; a factor's power stops here.
LARGEST: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class WarmupTerms:
    """The figures of warmup.toml, where each is explained."""

    stall_deferrals: float
    back_deferrals: float
    stall_complaints: float
    back_complaints: float
    least_deferrals: float
    least_complaints: float
    least_used: float


class DayFigures(Protocol):
    """What one slot did at one provider on one day, in mails."""

    @property
    def attempts(self) -> int:
        """SMTP transactions."""

    @property
    def accepted(self) -> int:
        """Of these, taken."""

    @property
    def deferred(self) -> int:
        """Of these, answered "later" (4xx)."""

    @property
    def complained(self) -> int:
        """Complaints that came on that day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What a day comes to, with the reason in words."""

    step: Literal[-1, 0, 1]
    reason: str


def warmup_terms(overrides: Mapping[str, float] | None = None) -> WarmupTerms:
    """The figures, those that are given in place of warmup.toml's."""
    return WarmupTerms(**(_table() | dict(overrides or {})))


@cache
def _table() -> dict[str, float]:
    return tomllib.loads(resources.files(__package__).joinpath("warmup.toml").read_text("utf-8"))


def allowance_of(plan: Warmup, stage: int) -> int:
    """Mails to one provider on a day with so many good days behind it."""
    try:
        return int(min(LARGEST, plan.initial_per_day * plan.factor**stage))
    except OverflowError:
        return LARGEST


def judged(figures: DayFigures, allowed: int, terms: WarmupTerms) -> Judgement:
    """What a day with this allowance and these figures comes to."""
    deferrals = _rate(figures.deferred, figures.attempts, terms.least_deferrals)
    complaints = _rate(figures.complained, figures.accepted, terms.least_complaints)
    strictest_first: tuple[tuple[Literal[-1, 0], float, float], ...] = (
        (-1, terms.back_deferrals, terms.back_complaints),
        (0, terms.stall_deferrals, terms.stall_complaints),
    )
    for step, most_deferrals, most_complaints in strictest_first:
        does = "steps back" if step else "stands still"
        if deferrals > most_deferrals:
            return Judgement(step=step, reason=f"{does}: {deferrals:.1%} deferred, limit {most_deferrals:.1%}")
        if complaints > most_complaints:
            return Judgement(step=step, reason=f"{does}: {complaints:.2%} complained, limit {most_complaints:.2%}")
    if figures.attempts < terms.least_used * allowed:
        return Judgement(step=0, reason=f"stands still: {figures.attempts} of {allowed} were sent")
    return Judgement(step=1, reason=f"a good day: {figures.attempts} sent, {figures.deferred} deferred")


def _rate(count: int, of: int, least: float) -> float:
    """A share, where so few say anything."""
    return count / of if of and count >= least else 0.0


def day_weight(allowed: int, *, own: float, others: float, warming: int, volume: int | None) -> float:
    """The part (0 to 1) of an IP's weight by which the day's traffic brings it its allowance.

    Args:
        allowed: its allowance.
        own: its egress weight.
        others: the weights of the pool's warm IPs, summed.
        warming: the allowances of all of the pool's warming IPs, its own included.
        volume: the pool's mails to the provider that the day may bring; None = nobody knows.
    """
    if not others:  # nobody takes what goes beyond: by allowance among those that warm up
        return allowed / warming if warming else 1.0
    if volume is None:
        return UNKNOWN_VOLUME_WEIGHT
    if volume <= warming or own <= 0:
        return 1.0
    # Its share of the deals is weight / (weights of all), and should be allowed / volume, for each that warms up.
    return min(1.0, allowed / (volume - warming) * others / own)


def part(allowed: int, *, partition: int, partitions: int, name: str) -> int:
    """One gate partition's part of an allowance: all parts sum to it.

    `name` (slot, provider and day) turns the order, so that small allowances are not always the same partitions'.
    """
    turn = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    place = (partition + turn) % partitions
    return allowed * (place + 1) // partitions - allowed * place // partitions
