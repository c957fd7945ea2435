"""What holds for one sending IP at one provider now, each figure with where it was said.  Pure.

1. Weight: the entry's, times warm-up's of today, times the condition's; 0 with the reason (streams.spread.weights).
2. Rate: the configured limit, below it what the sender learned, times what controls leave.
3. Connections and messages a connection: the provider's limit within the settings'.
4. Allowance, controls, condition and leases as they stand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas import ids, topics
from schemas.events import Condition, Control, Egress
from streams.delivery.shaping import Shaping
from streams.operate.egress_life import stands, way_out
from streams.runtime.settings import Settings
from streams.spread.weights import CONDITION_S, Weighed, slowed_to, standing
from streams.views import World

TOPICS: Final = (topics.EGRESS, topics.CONTROLS, topics.CONDITIONS, topics.WARMUPS, topics.LEASES)
_NOWHERE: Final = "no file names one"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One fact: `value` for a program, `words` for a person, `source` = topic and key, file and table, or setting."""

    what: str
    value: Any
    words: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the lines are about, and what they rest on; `origin` says where a setting's value came from."""

    world: World
    egress: Egress
    provider: str
    shaping: Shaping
    settings: Settings
    origin: Callable[[str], str]
    now: datetime

    @property
    def controls(self) -> list[Control]:
        """Those that stand on the slot, whatever their provider."""
        return stands(list(self.world.controls_on("slot", str(self.egress.slot))), self.now)

    @property
    def condition(self) -> Condition | None:
        """The sender's word."""
        return self.world.conditions.get(ids.slot_provider_key(self.egress.slot, self.provider))


def lines(asked: Asked) -> list[Line]:
    """All that holds, the effective figures first."""
    weighed = asked.world.weighed(asked.egress, asked.provider, asked.now)
    return [
        *_weight(asked, weighed),
        _rate(asked),
        _connections(asked),
        _messages(asked),
        _day(asked),
        *_warmup(asked, weighed),
        *_controls(asked),
        *_condition(asked),
        *_leases(asked),
    ]


def _weight(asked: Asked, weighed: Weighed) -> Iterator[Line]:
    egress, entry = asked.egress, f"topic egress, key {asked.egress.slot}"
    pool = asked.world.weights(egress.pool, asked.provider, asked.now)
    total = sum(weight for _, weight in pool)
    share = weighed.weight / total if total else 0.0
    made = f"{egress.weight:g} x warm-up {weighed.warmup:.3g} x condition {weighed.condition:g}"
    if weighed.slowed < 1:
        made += f" x slowed {weighed.slowed:g}"
    words = f"{weighed.weight:.3g} = {made}" if weighed.weight else f"0: {weighed.closed}"
    yield Line(what="weight", value=weighed.weight, words=words, source=entry)
    what = f"{share:.2%} of the mail of pool {egress.pool}, over {len(pool)} IPs"
    yield Line(what="share", value=share, words=what, source="the weights of the pool")
    way = f"{egress.via.kind} {way_out(egress)}, {egress.ehlo}: {egress.state}"
    yield Line(what="egress", value=egress.state, words=way, source=entry)


def _rate(asked: Asked) -> Line:
    """The least of what is configured and learned, times what controls leave."""
    limit, source = _limit(asked, "messages_per_s")
    condition, learned = asked.condition, None
    if condition is not None and (asked.now - condition.at).total_seconds() < CONDITION_S:
        learned = condition.rate_per_s
    bounds = [(limit, source)] if limit is not None else []
    if learned is not None:
        bounds.append((learned, f"topic conditions, key {asked.egress.slot}/{asked.provider}"))
    slow = slowed_to(asked.controls, asked.provider, asked.now)
    rate, where = min(bounds, default=(None, source))
    if rate is None:
        words = "no limit" if slow == 1.0 else f"no limit; a control leaves {slow:.0%} of what is learned"
        return Line(what="messages a second", value=None, words=words, source=where)
    words = f"{rate * slow:.3g}" + (f" = {rate:.3g} x {slow:g} by a control" if slow != 1.0 else "")
    return Line(what="messages a second", value=rate * slow, words=words, source=where)


def _connections(asked: Asked) -> Line:
    limit, source = _limit(asked, "connections")
    name = "smtp.connections_per_slot"
    own = asked.settings.smtp.connections_per_slot
    bounds = [(own, _setting(asked, name))] + ([(int(limit), source)] if limit is not None else [])
    found, where = min(bounds)
    words = f"{found} at a time, {asked.settings.smtp.connections_per_host} to one host"
    return Line(what="connections", value=found, words=words, source=where)


def _messages(asked: Asked) -> Line:
    limit, source = _limit(asked, "messages_per_connection")
    own = (asked.settings.smtp.messages_per_connection, _setting(asked, "smtp.messages_per_connection"))
    found, where = min([own] + ([(int(limit), source)] if limit is not None else []))
    return Line(what="messages a connection", value=found, words=str(found), source=where)


def _day(asked: Asked) -> Line:
    limit, source = _limit(asked, "messages_per_day")
    words = "no limit" if limit is None else f"{limit:g}"
    return Line(what="messages a day", value=limit, words=words, source=source)


def _limit(asked: Asked, field: str) -> tuple[float | None, str]:
    value = getattr(asked.shaping.limits(asked.provider), field)
    return value, asked.shaping.origin(asked.provider, field) or _NOWHERE


def _setting(asked: Asked, name: str) -> str:
    return f"setting {name} ({asked.origin(name)})"


def _warmup(asked: Asked, weighed: Weighed) -> Iterator[Line]:
    plan = asked.egress.warmup
    if plan is None:
        words = "none: no allowance"
        yield Line(what="warm-up", value=None, words=words, source=f"topic egress, key {asked.egress.slot}")
        return
    place = ids.slot_provider_key(asked.egress.slot, asked.provider)
    word = asked.world.warmups.get(place)
    source = f"topic warmups, key {place}"
    if word is None or word.at < plan.started_at:
        word, source = None, f"topic egress, key {asked.egress.slot}; control has not spoken yet"
    if weighed.allowance is None:
        words = "warm here: no limit"
    else:
        words = f"{weighed.allowance} mails today (UTC)"
        if word is not None:
            words += f", stage {word.stage}: {word.reason} ({word.day})"
    yield Line(what="warm-up", value=weighed.allowance, words=words, source=source)


def _controls(asked: Asked) -> Iterator[Line]:
    found = standing(asked.controls, asked.provider, asked.now)
    for one in found:
        does = one.state if one.slow_to is None else f"slowed to {one.slow_to:.0%}"
        until = f" until {one.until.isoformat()}" if one.until else ""
        words = f"{does} by {one.by}{until}" + (f": {one.reason}" if one.reason else "")
        value = one.state if one.slow_to is None else one.slow_to
        yield Line(what="control", value=value, words=words, source=f"topic controls, key {ids.control_key(one)}")
    if not found:
        yield Line(what="control", value=None, words="none stands", source="topic controls")


def _condition(asked: Asked) -> Iterator[Line]:
    condition, place = asked.condition, ids.slot_provider_key(asked.egress.slot, asked.provider)
    if condition is None:
        words = "nothing was learned"
        yield Line(what="condition", value=None, words=words, source="topic conditions")
        return
    age = (asked.now - condition.at).total_seconds()
    parts: list[str] = [condition.health]
    if condition.until is not None:
        parts.append(f"until {condition.until.isoformat()}")
    if condition.rate_per_s is not None:
        limit = "no limit" if condition.limit_per_s is None else f"{condition.limit_per_s:.3g}"
        parts.append(f"{condition.rate_per_s:.3g} a second of {limit}")
    parts.append(f"said {age:.0f} s ago" + ("" if age < CONDITION_S else ", of no account any more but for a block"))
    if condition.evidence:
        parts.append(condition.evidence)
    yield Line(
        what="condition", value=condition.health, words="; ".join(parts), source=f"topic conditions, key {place}"
    )


def _leases(asked: Asked) -> Iterator[Line]:
    valid = [one for one in asked.world.leases.values() if one.expires_at > asked.now]
    held = [one for one in valid if asked.egress.slot in one.held]
    place = f"{asked.egress.pool}/{asked.provider}"
    if not valid:
        words = "no lease is valid: marketing mail waits; is a control worker active?"
        yield Line(what="leases", value=None, words=words, source="topic leases")
        return
    parts = [f"{len(valid)} valid"]
    pool = [one.per_pool_s[asked.egress.pool] for one in valid if asked.egress.pool in one.per_pool_s]
    credit = [one.capacity_per_s[place] for one in valid if place in one.capacity_per_s]
    if pool:
        parts.append(f"pool {asked.egress.pool}: {sum(pool):.4g} a second")
    if credit:
        parts.append(f"{place}: {sum(credit):.4g} a second")
    parts.append("this IP is held: its sender stands still" if held else "this IP is not held")
    value = "held" if held else "valid"
    yield Line(what="leases", value=value, words="; ".join(parts), source="topic leases")
