"""All that CONTROL watches, as one object: deliveries in, firings and volumes out.  Pure; it is told the time.

1. Begin with what was told before: the volumes (`history`), the incidents and the controls that stand (`remember`).
2. `take` each delivery, from `since` on.  Those of before `acts_since` are counted alone: what they would fire is past.
3. Once the reader has caught up, `look` each few seconds for surges and fuses, and publish `changed` volumes.
4. `over` names the controls of automation whose time is up.  Nobody else's control is ever touched.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas.events import Control, Incident, Volume
from streams.control.automation import Automation
from streams.control.firing import AUTHOR, Firing, told_by
from streams.control.fuse import Fuse
from streams.control.history import History
from streams.control.loading import Terms
from streams.control.seen import dated, decode
from streams.control.surge import Surges, Waiting
from streams.control.volumes import Volumes, span_of

# An automation's control this young has its incident in the topic, or never got it; of an older one the topic may
# have let go.
_YOUNG: Final = timedelta(days=1)
# Deliveries after which a tenant's rates may have risen.
_SUSPICIOUS: Final = frozenset({"bounced", "late_bounce", "complained"})


class Watch:
    """What one owner has counted since it took over."""

    def __init__(self, terms: Terms, history: History, *, since: datetime, now: datetime) -> None:
        self._terms = terms
        self._history = history
        self._automation = Automation(terms.rules)
        self._volumes = Volumes(terms.volumes, since=since)
        self._surges = Surges(terms.surge, terms.volumes, history)
        self._fuse = Fuse(terms.fuse, terms.volumes, history)
        self.since = since
        self.acts_since = now - self._automation.within
        self.unreadable = 0
        self._suspects: set[str] = set()

    @property
    def held(self) -> int:
        """How many matches of rules are remembered."""
        return self._automation.held

    @property
    def late(self) -> int:
        """How many deliveries came too late for their span."""
        return self._volumes.late

    def remember(self, incident: Incident) -> None:
        """What was told before is not told again."""
        if not dated(incident.at):
            return
        self._automation.remember(incident)
        self._fuse.remember(incident)
        self._surges.remember(incident, span_of(incident.at, self._terms.volumes))

    def take(self, value: bytes | None, arrived_s: float) -> list[Firing]:
        """Take a delivery whose record has this time (seconds since 1970); what fires by it.

        What is no delivery is counted and left to the warehouse, which buries it.
        """
        try:
            seen = decode(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.unreadable += 1
            return []
        if not dated(seen.at):
            self.unreadable += 1
            return []
        self._volumes.add(seen, arrived_s)
        if seen.type in _SUSPICIOUS:
            self._suspects.add(seen.tenant)
        return self._automation.see(seen) if seen.at >= self.acts_since else []

    def look(self, waiting: Waiting, now: datetime) -> list[Firing]:
        """Surges of the open span, and the fuses of the tenants that had bounces or complaints since the last look."""
        open_spans = {begin: self._volumes.figures(begin) for begin in self._volumes.open()}
        begin = span_of(now, self._terms.volumes)
        found = list(self._surges.look(begin, open_spans.get(begin, {}), waiting, now))
        suspects, self._suspects = sorted(self._suspects), set()
        return [*found, *self._fuse.look(suspects, open_spans, now)]

    def changed(self) -> Iterator[Volume]:
        """The volumes that moved since they were last asked for; they are history from then on."""
        for volume in self._volumes.changed():
            self._history.put(volume)
            yield volume

    def close(self, reached: datetime) -> None:
        """The reader has got this far: spans that nothing can come into any more are done.  Publish `changed` first."""
        self._volumes.close(reached)


def over(controls: Mapping[str, Control], now: datetime) -> list[str]:
    """Keys of automation's controls whose time is up."""
    return [
        key
        for key, control in controls.items()
        if control.by.startswith(AUTHOR) and control.until is not None and control.until <= now
    ]


def untold(controls: Mapping[str, Control], told: set[str], now: datetime) -> list[Incident]:
    """Incidents of controls that stand, and that a crash kept from being written: a control is written first."""
    found = [incident for control in controls.values() if (incident := told_by(control)) is not None]
    return [incident for incident in found if incident.at >= now - _YOUNG and incident.incident_id not in told]


def standing(firing: Firing, now: datetime) -> Firing:
    """The firing without a control that would be over already: what a late reader finds is told alone."""
    control = firing.control
    if control is None or control.until is None or control.until > now:
        return firing
    return Firing(incident=firing.incident, control=None)
