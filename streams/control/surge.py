"""Whether a span's volume is a surge: against the key's own history, flagged once a span, if it can before it goes out.

1. `baseline`: the same span on earlier days of the key's life, `min_days` of them at least; else all its spans of those
   days, four times as many at least; else none: the key is new, and nothing can be said.
2. The limit is median + spreads x 1.4826 x MAD, at least `times` the median, at least `least` mails.  (1.4826 makes the
   median distance from the median the standard deviation, were they normal: Rousseeuw and Croux 1993.)
3. `Surges.look` compares what went in the open span, and what went with what waits at the gates: the latter is
   `coming`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final, Literal

import msgspec

from schemas.events import Incident
from streams.control import evidence
from streams.control.figures import Figures
from streams.control.firing import Firing, fired, incident_id
from streams.control.history import History
from streams.control.rules import COMING, SURGE, SurgeTerms, VolumeTerms

Scope = Literal["slot", "tenant", "provider"]
SCOPES: Final[tuple[Scope, ...]] = ("slot", "tenant", "provider")
_MAD_SCALE: Final = 1.4826
# Where the same span has too short a history: so many spans of any hour for each day that is asked for.
_ANY_SPANS: Final = 4
_DAY: Final = timedelta(days=1)
# Figures of earlier spans that an incident shows.
_SHOWN: Final = 5


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a span is compared with: its limit in mails, and from what that was made."""

    limit: float
    median: float
    spread: float
    of: tuple[tuple[datetime, int], ...]
    same_span: bool

    @property
    def words(self) -> str:
        """The limit with its reason."""
        what = "of the same span on {} days" if self.same_span else "of all its last {} spans"
        made = f"median {self.median:,.0f}, spread {self.spread:,.0f}, {what.format(len(self.of))}"
        return f"{self.limit:,.0f} ({made})"


def baseline(
    history: History, scope: Scope, key: str, begin: datetime, *, terms: SurgeTerms, volumes: VolumeTerms
) -> Baseline | None:
    """What the span of the key that begins then is compared with; None: too little is known."""
    first = history.first_day(scope, key)
    if first is None:
        return None
    same = [begin - days * _DAY for days in range(1, terms.days + 1) if (begin - days * _DAY).date() > first]
    if len(same) >= terms.min_days:
        return _measured([(at, history.span(scope, key, at).attempts) for at in same], terms, same_span=True)
    spans = (begin - number * volumes.span for number in range(1, int(terms.min_days * _DAY / volumes.span) + 1))
    of = [(at, went) for at in spans if at.date() >= first and (went := history.span(scope, key, at).attempts)]
    if len(of) >= terms.min_days * _ANY_SPANS:
        return _measured(of, terms, same_span=False)
    return None


def _measured(of: list[tuple[datetime, int]], terms: SurgeTerms, *, same_span: bool) -> Baseline:
    went = [number for _, number in of]
    middle = float(median(went))
    spread = _MAD_SCALE * float(median(abs(number - middle) for number in went))
    limit = max(middle + terms.spreads * spread, middle * terms.times, float(terms.least))
    return Baseline(limit=limit, median=middle, spread=spread, of=tuple(of), same_span=same_span)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What the gates would deal now if they could, by tenant and by provider."""

    tenants: Mapping[str, int]
    providers: Mapping[str, int]

    def of(self, scope: Scope, key: str) -> int:
        """How many wait for it; of an IP nobody knows before they are dealt."""
        if scope == "slot":
            return 0
        return (self.tenants if scope == "tenant" else self.providers).get(key, 0)


class Surges:
    """Compares, and says each surge once a span."""

    def __init__(self, terms: SurgeTerms, volumes: VolumeTerms, history: History) -> None:
        self._terms = terms
        self._volumes = volumes
        self._history = history
        self._baselines: dict[tuple[Scope, str], Baseline | None] = {}
        self._begin: datetime | None = None
        self._told: set[tuple[str, str, str, datetime]] = set()

    def remember(self, incident: Incident, begin: datetime) -> None:
        """A surge that was told before, in the span that began then."""
        if incident.rule in {SURGE, COMING}:
            self._told.add((incident.rule, incident.scope, incident.key, begin))

    def look(
        self, begin: datetime, figures: Mapping[tuple[str, str], Figures], waiting: Waiting, now: datetime
    ) -> Iterator[Firing]:
        """What is a surge in the open span that began then, by its figures so far and by what waits."""
        if not self._terms.enabled:
            return
        if begin != self._begin:
            self._begin = begin
            self._baselines.clear()
            self._told = {one for one in self._told if one[3] >= begin - self._volumes.span}
        for scope in SCOPES:
            keys = {key for of, key in figures if of == scope}
            if scope != "slot":
                keys.update(waiting.tenants if scope == "tenant" else waiting.providers)
            for key in sorted(keys):
                went, waits = figures.get((scope, key), Figures()).attempts, waiting.of(scope, key)
                if went + waits > self._terms.least:
                    yield from self._compare(scope, key, begin, went, waits, now)

    def _compare(
        self, scope: Scope, key: str, begin: datetime, went: int, waits: int, now: datetime
    ) -> Iterator[Firing]:
        base = self._baseline(scope, key, begin)
        if base is None:
            return
        if went > base.limit:
            rule, value = SURGE, f"{went:,} went since {evidence.clock(begin)}"
        elif went + waits > base.limit:
            rule, value = COMING, f"{went:,} went since {evidence.clock(begin)}, {waits:,} wait"
        else:
            return
        name = (rule, scope, key, begin)
        if name in self._told:
            return
        self._told.add(name)
        yield fired(
            Incident(
                incident_id=incident_id(rule, scope, key, begin),
                rule=rule,
                scope=scope,
                key=key,
                action="flag",
                value=value,
                limit=base.words,
                evidence=tuple(f"{evidence.clock(at)} {number:,}" for at, number in base.of[:_SHOWN]),
                coming=rule == COMING,
                at=now,
            )
        )

    def _baseline(self, scope: Scope, key: str, begin: datetime) -> Baseline | None:
        name = (scope, key)
        if name not in self._baselines:
            self._baselines[name] = baseline(self._history, scope, key, begin, terms=self._terms, volumes=self._volumes)
        return self._baselines[name]
