"""The days of all warming IPs: which are to be said now, from the volumes of the days before.

1. An IP warms up at each provider of the list, and at each one that its pool sends to.
2. `due` names the days that are not said yet: the first at once, each next one JUDGED_AFTER_S past midnight (UTC), when
   the day before is counted.  Until then gates go by the day before.
3. The day before is judged by its own figures; after a silence, the last day that was said, and one step at most.

CONTROL writes what is due to `warmups` and asks again: `due` says nothing twice.  One provider at a time: the volumes
of 400 slots and a week take some 10 ms to sum up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, Protocol

from schemas import ids
from schemas.events import Egress, WarmupDay
from streams.spread.providers import PROVIDERS
from streams.spread.warmup import DayFigures, WarmupTerms, allowance_of, day_weight, judged
from streams.spread.weights import day_of, next_day

# Seconds.  The last spans of a day are told within minutes of their end; a quarter of an hour costs the new day 1 %.
JUDGED_AFTER_S: Final = 900.0
# The traffic that a day may bring is the largest of so many days before: weekdays differ, and a Sunday that is taken
# for the rule would call an IP warm too soon.
LOOK_BACK_DAYS: Final = 7
_SCOPE: Final = "slot/provider"


class Volumes(Protocol):
    """What went on earlier days (streams.control.history); nothing is said of any day before that is `ready`."""

    @property
    def ready(self) -> bool:
        """Whether all that was told is read."""

    def day(self, scope: Literal["slot/provider"], key: str, day: date) -> DayFigures:
        """What a slot did at a provider on a UTC day."""

    def keys(self, scope: Literal["slot/provider"]) -> Sequence[str]:
        """All of which there is any record."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the days of a pool's warming IPs at one provider rest on.

    `warm` and `warming` are the pool's active slots, `said` the last words on the warming ones, by slot.
    """

    provider: str
    warm: tuple[Egress, ...]
    warming: tuple[Egress, ...]
    said: Mapping[int, WarmupDay]
    volumes: Volumes
    now: datetime

    @property
    def slots(self) -> tuple[Egress, ...]:
        """All of them."""
        return (*self.warm, *self.warming)

    def did(self, slot: int, day: date) -> DayFigures:
        """What a slot did there on a day."""
        return self.volumes.day(_SCOPE, ids.slot_provider_key(slot, self.provider), day)


@dataclass(frozen=True, kw_only=True)
class _Allowed:
    stage: int | None
    allowance: int | None
    reason: str


def days(ground: Ground, lacking: Iterable[Egress], terms: WarmupTerms) -> list[WarmupDay]:
    """Today's words on those of the warming slots that have none yet."""
    volume = expected_volume(ground)
    today = {one.slot: _allowed(one, ground, volume, terms) for one in lacking}
    limits = {
        slot.slot: today[slot.slot].allowance if slot.slot in today else ground.said[slot.slot].allowance
        for slot in ground.warming
    }
    warming = sum(limit for limit in limits.values() if limit is not None)
    others = sum(one.weight for one in ground.slots if limits.get(one.slot) is None)
    own = {one.slot: one.weight for one in ground.warming}
    return [
        WarmupDay(
            slot=slot,
            provider=ground.provider,
            day=day_of(ground.now),
            stage=one.stage,
            allowance=one.allowance,
            weight=1.0
            if one.allowance is None
            else day_weight(one.allowance, own=own[slot], others=others, warming=warming, volume=volume),
            reason=one.reason,
            at=ground.now,
        )
        for slot, one in today.items()
    ]


def _allowed(egress: Egress, ground: Ground, volume: int | None, terms: WarmupTerms) -> _Allowed:
    plan, last = egress.warmup, ground.said.get(egress.slot)
    if plan is None or (last is not None and last.allowance is None):
        return _Allowed(stage=None, allowance=None, reason="warm")
    if last is None or last.stage is None or last.allowance is None:
        return _Allowed(stage=0, allowance=plan.initial_per_day, reason="the first day")
    judgement = judged(ground.did(egress.slot, date.fromisoformat(last.day)), last.allowance, terms)
    stage = max(0, last.stage + judgement.step)
    allowed = allowance_of(plan, stage)
    total = sum(one.weight for one in ground.slots)
    if judgement.step > 0 and volume is not None and total:
        share = volume * egress.weight / total
        if allowed >= share:
            return _Allowed(stage=None, allowance=None, reason=f"warm: {allowed} a day is above its share, {share:.0f}")
    return _Allowed(stage=stage, allowance=allowed, reason=judgement.reason)


def expected_volume(ground: Ground) -> int | None:
    """The pool's mails to the provider that today may bring; None = nothing went there yet."""
    today = date.fromisoformat(day_of(ground.now))
    before = [today - timedelta(days=back) for back in range(1, LOOK_BACK_DAYS + 1)]
    return max(sum(ground.did(one.slot, day).attempts for one in ground.slots) for day in before) or None


class WarmupLedger:
    """Says each day once.  It reads tables as a world holds them, and remembers what it said until they show it."""

    def __init__(
        self, *, egress: Mapping[str, Egress], warmups: Mapping[str, WarmupDay], volumes: Volumes, terms: WarmupTerms
    ) -> None:
        self._egress = egress
        self._warmups = warmups
        self._volumes = volumes
        self._terms = terms
        self._said: dict[str, WarmupDay] = {}
        self._seen: tuple[str, frozenset[str]] = ("", frozenset())

    def providers_due(self, now: datetime) -> list[str]:
        """The providers at which a warming IP lacks a word that is to be said now."""
        if not self._volumes.ready:
            return []
        warming = [one for one in self._active() if _warms(one, now)]
        if not warming:
            return []
        return sorted(name for name in self._providers(now) if any(self._lacks(one, name, now) for one in warming))

    def due(self, provider: str, now: datetime) -> list[WarmupDay]:
        """The words to say now at one provider; they count as said."""
        active = self._active()
        lacking = [one for one in active if _warms(one, now) and self._lacks(one, provider, now)]
        found: list[WarmupDay] = []
        for pool in sorted({one.pool for one in lacking}):
            ground = self._ground([one for one in active if one.pool == pool], provider, now)
            found += days(ground, [one for one in lacking if one.pool == pool], self._terms)
        self._said |= {ids.slot_provider_key(one.slot, one.provider): one for one in found}
        return found

    def _active(self) -> list[Egress]:
        # Copied in one step: another thread adds to it.
        return sorted((one for one in list(self._egress.values()) if one.state == "active"), key=lambda one: one.slot)

    def forget(self) -> None:
        """Rest on nothing but the tables: somebody else may have spoken meanwhile."""
        self._said.clear()

    def _ground(self, pooled: Sequence[Egress], provider: str, now: datetime) -> Ground:
        warming = tuple(one for one in pooled if _warms(one, now))
        return Ground(
            provider=provider,
            warm=tuple(one for one in pooled if one.warmup is None),
            warming=warming,
            said={one.slot: word for one in warming if (word := self._word(one, provider, now)) is not None},
            volumes=self._volumes,
            now=now,
        )

    def _providers(self, now: datetime) -> frozenset[str]:
        """The list's, and those that mail went to by the last look, once an hour."""
        hour = f"{now:%Y-%m-%dT%H}"
        if self._seen[0] != hour:
            self._seen = hour, PROVIDERS | {key.partition("/")[2] for key in self._volumes.keys(_SCOPE)}
        return self._seen[1]

    def _lacks(self, egress: Egress, provider: str, now: datetime) -> bool:
        """Whether today's word is to be said now."""
        word = self._word(egress, provider, now)
        if word is None:
            return True
        if word.stage is None or word.day == day_of(now):
            return False
        return now >= next_day(now) - timedelta(days=1) + timedelta(seconds=JUDGED_AFTER_S)

    def _word(self, egress: Egress, provider: str, now: datetime) -> WarmupDay | None:
        """The last word of the slot's present warm-up; one of a day that is not yet, or of none, is no word."""
        place, plan = ids.slot_provider_key(egress.slot, provider), egress.warmup
        found = [
            one
            for one in (self._said.get(place), self._warmups.get(place))
            if one is not None and plan is not None and one.at >= plan.started_at and _is_past(one.day, now)
        ]
        return max(found, key=lambda one: one.at, default=None)


def _is_past(day: str, now: datetime) -> bool:
    try:
        return date.fromisoformat(day) <= date.fromisoformat(day_of(now))
    except ValueError:  # of the form of a day, such as 2026-02-31
        return False


def _warms(egress: Egress, now: datetime) -> bool:
    return egress.warmup is not None and egress.warmup.started_at <= now
