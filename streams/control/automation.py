"""Rules over deliveries: which of them fire, once each while what they did stands.  Pure; the time is the delivery's.

1. What was tried at a watched key is counted, whatever came of it.
2. A delivery of a type that some rule counts is held against those rules; a match goes into the key's window.
3. `count` matches within `within`, and `share` of what was tried since the first: the rule fires.  Its window begins
   anew, and until its control's time is up (of a flag: for one window) what comes is not counted for it.

`remember` tells of a firing from before: whoever takes over reads the incidents first, then the deliveries again.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from schemas import ids
from schemas.events import Incident
from streams.control import evidence
from streams.control.firing import Firing, fired, incident_id
from streams.control.rules import Rule, Scope
from streams.control.seen import Seen
from streams.control.sliding import Key, Sliding, Watched

# Tuples, not text: most deliveries are only looked up.
_KEYS: Final[Mapping[Scope, Callable[[Seen], Key]]] = {
    "slot": lambda seen: (seen.slot,),
    "slot/provider": lambda seen: (seen.slot, seen.provider),
    "tenant": lambda seen: (seen.tenant,),
    "tenant/provider": lambda seen: (seen.tenant, seen.provider),
    "campaign": lambda seen: (seen.tenant, seen.campaign_id),
}
# Stale keys are looked for each time so many matches came.
_SWEEP_EVERY: Final = 256


class Automation:
    """The rules, and what they have counted."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._by_type: dict[str, list[Rule]] = {}
        for rule in self._rules:
            for type_ in rule.types:
                self._by_type.setdefault(type_, []).append(rule)
        self._scopes: dict[Scope, Sliding] = {rule.scope: Sliding() for rule in self._rules}
        # Until when (rule, key as text) does not count.
        self._quiet: dict[tuple[str, str], datetime] = {}
        self.within = max((rule.within for rule in self._rules), default=timedelta(0))
        self._matches = 0

    @property
    def held(self) -> int:
        """How many matches are remembered."""
        return sum(map(len, self._scopes.values()))

    def remember(self, incident: Incident) -> None:
        """A firing from before: its rule is quiet at its key for as long as it would have been."""
        rule = next((one for one in self._rules if one.name == incident.rule and one.scope == incident.scope), None)
        if rule is not None:
            self._hush(rule, incident.key, incident.until or incident.at + rule.within)

    def see(self, seen: Seen) -> list[Firing]:
        """Take a delivery; what fires by it."""
        if seen.tried:
            for scope, sliding in self._scopes.items():
                if sliding:
                    sliding.tried(_KEYS[scope](seen))
        candidates = self._by_type.get(seen.type)
        if candidates is None:
            return []
        return [firing for rule in candidates if (firing := self._match(rule, seen)) is not None]

    def _match(self, rule: Rule, seen: Seen) -> Firing | None:
        if seen.slot is None and rule.scope.startswith("slot"):
            return None
        if not rule.matches(seen.type, seen.class_, seen.provider, seen.reply):
            return None
        key = key_text(rule.scope, seen)
        quiet_until = self._quiet.get((rule.name, key))
        if quiet_until is not None and seen.at < quiet_until:
            return None
        sliding = self._scopes[rule.scope]
        watched = sliding.match(_KEYS[rule.scope](seen), rule, seen)
        self._sweep(seen.at)
        share = watched.fires(rule)
        if share is None:
            return None
        firing = _firing(rule, key, watched, share)
        sliding.forget(watched, rule)
        self._hush(rule, key, firing.incident.until or firing.incident.at + rule.within)
        return firing

    def _hush(self, rule: Rule, key: str, until: datetime) -> None:
        standing = self._quiet.get((rule.name, key))
        self._quiet[rule.name, key] = until if standing is None else max(standing, until)

    def _sweep(self, now: datetime) -> None:
        self._matches += 1
        if self._matches % _SWEEP_EVERY:
            return
        for sliding in self._scopes.values():
            sliding.expire(now - self.within)
        # A reader may lag by a window: what was hushed until then is still asked for.
        self._quiet = {name: until for name, until in self._quiet.items() if until > now - self.within}


def key_text(scope: Scope, seen: Seen) -> str:
    """The key as incidents and controls have it."""
    match scope:
        case "slot":
            return str(seen.slot)
        case "slot/provider":
            return f"{seen.slot}/{seen.provider}"
        case "tenant":
            return seen.tenant
        case "tenant/provider":
            return f"{seen.tenant}/{seen.provider}"
        case "campaign":
            return ids.campaign_key(seen.tenant, seen.campaign_id)


def _firing(rule: Rule, key: str, watched: Watched, share: float) -> Firing:
    matches = watched.matches[rule.name]
    at = matches[-1][0]
    took_s = round((at - matches[0][0]).total_seconds())
    part = f", {share:.0%} of what was tried" if rule.share else ""
    asked = f", {rule.share:.0%} of what was tried" if rule.share else ""
    incident = Incident(
        incident_id=incident_id(rule.name, rule.scope, key, at),
        rule=rule.name,
        scope=rule.scope,
        key=key,
        action=rule.action,
        value=f"{len(matches)} in {took_s} s{part}",
        limit=f"{rule.count} in {round(rule.within.total_seconds())} s{asked}",
        evidence=evidence.lines(watched.last[rule.name]),
        at=at,
        until=None if rule.lasts is None else at + rule.lasts,
    )
    return fired(incident, factor=rule.factor)
