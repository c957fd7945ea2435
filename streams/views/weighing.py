"""The weights of each pool at each provider, remembered until something said of them changes.

1. Whoever folds a record in says what it is about: `touch(provider)`, or `touch()` where it is about all providers.
2. `of` answers from memory while nothing was said since, and no `until` and no day passed; else it weighs anew, as it
   does where the clock was set back.
3. An answer equal to the one before is the same object: the dealer compares by identity (streams.spread.dealing).

Written by one thread, read by others: a reader that weighs while something is said remembers the count of edits from
before, so that the next one weighs again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from schemas import ids
from schemas.events import Condition, Control, Egress, Lease, WarmupDay
from streams.spread.dealing import Weights
from streams.spread.weights import NEVER, Said, Target, Weighed, weigh

# Different answers remembered, to give equal ones as one object: providers of which nothing is said share one.
_SHARES: Final = 4_096


@dataclass(frozen=True, kw_only=True, eq=False)
class Share:
    """Who takes a pool's mail to one provider: (slot, weight) by slot, and what warming IPs may take in a UTC day."""

    weights: Weights = ()
    allowances: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    edits: int
    since: datetime
    until: datetime
    share: Share


EMPTY: Final = Share()


class Weighing:
    """Answers over the tables of a world; it holds them, and writes none."""

    def __init__(
        self,
        *,
        egress: Mapping[str, Egress],
        controls_on: Callable[[Target, str], tuple[Control, ...]],
        conditions: Mapping[str, Condition],
        warmups: Mapping[str, WarmupDay],
        leases: Mapping[str, Lease],
    ) -> None:
        self._egress = egress
        self._controls_on = controls_on
        self._conditions = conditions
        self._warmups = warmups
        self._leases = leases
        self._edits = 0
        # Set by a reader that met a lease whose held slots were free again since it had expired: the next one with the
        # same slots is an edit.
        self._lapsed = False
        self._edits_of: dict[str, int] = {}
        self._known: dict[tuple[str, str], _Known] = {}
        self._shares: dict[tuple[Weights, tuple[tuple[int, int], ...]], Share] = {}

    def touch(self, provider: str | None = None) -> None:
        """Something was said of this provider, or of all."""
        if provider is None:
            self._edits += 1
        else:
            self._edits_of[provider] = self._edits_of.get(provider, 0) + 1

    def leased(self, before: Lease | None, after: Lease | None) -> None:
        """A lease took another's place: each second, and nearly always with the same slots held."""
        had = before.held if before is not None else ()
        has = after.held if after is not None else ()
        sooner = before is not None and after is not None and after.expires_at < before.expires_at
        if had != has or (has and (self._lapsed or sooner)):
            self._lapsed = False
            self.touch()

    def of(self, pool: str, provider: str, now: datetime) -> Share:
        """The pool's share out at a provider; an empty one: whatever the provider."""
        return self._current(pool, provider, now).share

    def _current(self, pool: str, provider: str, now: datetime) -> _Known:
        edits = self._edits + self._edits_of.get(provider, 0)
        known = self._known.get((pool, provider))
        if known is None or known.edits != edits or not known.since <= now < known.until:
            known = self._known[pool, provider] = self._weighed(pool, provider, now, edits)
        return known

    def slot(self, egress: Egress, provider: str, now: datetime) -> Weighed:
        """One slot's weight, with what it is made of."""
        return weigh(self._said(egress, provider, self.held(now)), provider, now)

    def _weighed(self, pool: str, provider: str, now: datetime, edits: int) -> _Known:
        # Copied in one step: the writing thread may add one meanwhile.
        pooled = sorted((one for one in list(self._egress.values()) if one.pool == pool), key=lambda one: one.slot)
        if provider and provider not in self._edits_of and all(one.warmup is None for one in pooled):
            plain = self._current(pool, "", now)  # nothing is said of this provider alone
            return _Known(edits=edits, since=plain.since, until=plain.until, share=plain.share)
        held = self.held(now)
        found = [(one.slot, weigh(self._said(one, provider, held), provider, now)) for one in pooled]
        weights = tuple((slot, one.weight) for slot, one in found if one.weight > 0)
        allowances = tuple((slot, one.allowance) for slot, one in found if one.allowance is not None and one.weight > 0)
        until = min((one.changes_at for _, one in found), default=NEVER)
        until = min(until, self._held_until(now))
        return _Known(edits=edits, since=now, until=until, share=self._same(weights, allowances))

    def _same(self, weights: Weights, allowances: tuple[tuple[int, int], ...]) -> Share:
        if not weights:
            return EMPTY
        if len(self._shares) >= _SHARES:
            self._shares.clear()
        return self._shares.setdefault(
            (weights, allowances), Share(weights=weights, allowances=dict(allowances) if allowances else {})
        )

    def _said(self, egress: Egress, provider: str, held: frozenset[int]) -> Said:
        place = ids.slot_provider_key(egress.slot, provider)
        return Said(
            egress=egress,
            controls=self._controls_on("slot", str(egress.slot)),
            held=egress.slot in held,
            condition=self._conditions.get(place) if provider else None,
            warmup=self._warmups.get(place) if provider else None,
        )

    def held(self, now: datetime) -> frozenset[int]:
        """Slots that CONTROL lets be dealt nothing, by any lease that has not expired."""
        if any(one.held and one.expires_at <= now for one in list(self._leases.values())):
            self._lapsed = True  # before the look that counts, and a writer looks at it behind its lease
        return frozenset(slot for lease in list(self._leases.values()) if lease.expires_at > now for slot in lease.held)

    def _held_until(self, now: datetime) -> datetime:
        ends = (one.expires_at for one in list(self._leases.values()) if one.held and one.expires_at > now)
        return min(ends, default=NEVER)
