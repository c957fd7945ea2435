"""A tenant's fuse: too many dead addresses or complaints within a day, and its mail is paused, with the evidence.

1. The rates are over the spans of `within` that are past and the open ones: dead addresses as a share of accepted and
   bounced mail, complaints as a share of accepted mail.  Refusals of us (reputation, content) are no tenant's list.
2. Below the least number of mails, or at the limit, nothing happens; above, the tenant is paused.
3. While the pause would stand the fuse says nothing more, also where a person has lifted it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.events import Incident
from streams.control import evidence
from streams.control.figures import Figures
from streams.control.firing import Firing, fired, incident_id
from streams.control.history import History
from streams.control.rules import BOUNCES, COMPLAINTS, FuseTerms, VolumeTerms
from streams.control.volumes import span_of

# Spans that an incident shows.
_SHOWN: Final = 6


@dataclass(frozen=True, kw_only=True)
class _Rate:
    """One rate: what counts, of what."""

    rule: str
    words: str
    bad: int
    of: int
    limit: float
    least: int


class Fuse:
    """Looks at tenants, and blows once for each pause."""

    def __init__(self, terms: FuseTerms, volumes: VolumeTerms, history: History) -> None:
        self._terms = terms
        self._volumes = volumes
        self._history = history
        self._quiet: dict[tuple[str, str], datetime] = {}

    def remember(self, incident: Incident) -> None:
        """A pause from before: quiet until it is over."""
        if incident.rule in {BOUNCES, COMPLAINTS} and incident.until is not None:
            self._quiet[incident.rule, incident.key] = incident.until

    def look(
        self, tenants: Iterable[str], open_spans: Mapping[datetime, Mapping[tuple[str, str], Figures]], now: datetime
    ) -> Iterator[Firing]:
        """Which of the tenants are to be paused, by the open spans' figures and by the history of those before."""
        if not self._terms.enabled:
            return
        for tenant in tenants:
            spans = list(self._spans(tenant, open_spans, now))
            total = Figures(*map(sum, zip(Figures(), *(of for _, of in spans), strict=True)))
            for rate in self._rates(total):
                until = self._quiet.get((rate.rule, tenant))
                quiet = until is not None and now < until
                if not quiet and rate.of >= rate.least and rate.bad > rate.limit * rate.of:
                    yield self._blow(rate, tenant, spans, now)

    def _spans(
        self, tenant: str, open_spans: Mapping[datetime, Mapping[tuple[str, str], Figures]], now: datetime
    ) -> Iterator[tuple[datetime, Figures]]:
        """Each span of the window that has any figures, newest first."""
        span = self._volumes.span
        begin = span_of(now, self._volumes)
        for _ in range(int(self._terms.within / span) + 1):
            if begin + span <= now - self._terms.within:
                return
            found = open_spans.get(begin)
            if found is None:
                figures = self._history.span("tenant", tenant, begin)
            else:
                figures = found.get(("tenant", tenant), Figures())
            if any(figures):
                yield begin, figures
            begin -= span

    def _rates(self, total: Figures) -> tuple[_Rate, ...]:
        terms = self._terms
        return (
            _Rate(
                rule=BOUNCES,
                words="dead addresses",
                bad=total.dead,
                of=total.accepted + total.bounced,
                limit=terms.bounce_rate,
                least=terms.bounce_mails,
            ),
            _Rate(
                rule=COMPLAINTS,
                words="complaints",
                bad=total.complained,
                of=total.accepted,
                limit=terms.complaint_rate,
                least=terms.complaint_mails,
            ),
        )

    def _blow(self, rate: _Rate, tenant: str, spans: list[tuple[datetime, Figures]], now: datetime) -> Firing:
        until = self._quiet[rate.rule, tenant] = now + self._terms.lasts
        return fired(
            Incident(
                incident_id=incident_id(rate.rule, "tenant", tenant, now),
                rule=rate.rule,
                scope="tenant",
                key=tenant,
                action="pause_tenant",
                value=f"{rate.bad / rate.of:.2%} ({rate.bad:,} {rate.words} of {rate.of:,})",
                limit=f"{rate.limit:.2%} of {rate.least:,} or more in {self._terms.within}",
                evidence=tuple(
                    f"{evidence.clock(begin)} accepted {of.accepted:,}, bounced {of.bounced:,}, dead {of.dead:,}, "
                    f"complained {of.complained:,}"
                    for begin, of in spans[:_SHOWN]
                ),
                at=now,
                until=until,
            )
        )
