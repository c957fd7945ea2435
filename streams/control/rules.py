"""Automation's rules and figures as values: what a table of automation.toml says, checked.

A rule counts deliveries of one key of its scope: `count` of them within `within` fire it.  `share` asks more: of all
that was tried at that key since the first of those counted, they must be at least that part, so that three refusals
among ten thousand mails are no block.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, get_args

from schemas.events import DeliveryType
from streams.control import fields
from streams.control.errors import RuleFault
from streams.control.patterns import SEARCHED, Pattern

Scope = Literal["slot", "slot/provider", "tenant", "tenant/provider", "campaign"]
Action = Literal["slow_down", "suspend", "deal_elsewhere", "pause_campaign", "pause_tenant", "flag"]
# Whom an action stops must be told by the scope's key.  A tenant at one provider is paused there alone.
ACTIONS: Final[Mapping[Scope, tuple[Action, ...]]] = {
    "slot": ("slow_down", "suspend", "deal_elsewhere", "flag"),
    "slot/provider": ("slow_down", "suspend", "deal_elsewhere", "flag"),
    "tenant": ("pause_tenant", "flag"),
    "tenant/provider": ("pause_tenant", "flag"),
    "campaign": ("pause_campaign", "flag"),
}
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# Names of incidents that are no rule's.
SURGE: Final = "surge"
COMING: Final = "surge-coming"
BOUNCES: Final = "tenant-bounces"
COMPLAINTS: Final = "tenant-complaints"
RESERVED: Final = frozenset({SURGE, COMING, BOUNCES, COMPLAINTS})

_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule; `lasts` None: nothing stands, it is told alone."""

    name: str
    scope: Scope
    action: Action
    count: int
    within: timedelta
    lasts: timedelta | None = None
    factor: float | None = None
    share: float = 0.0
    types: frozenset[str] = frozenset({"bounced", "deferred"})
    classes: frozenset[str] = frozenset()
    reply: Pattern | None = None
    providers: frozenset[str] = frozenset()
    except_providers: frozenset[str] = frozenset()

    def matches(self, type_: str, class_: str, provider: str, reply: str) -> bool:
        """Whether such a delivery is one that this rule counts."""
        return (
            type_ in self.types
            and (not self.classes or class_ in self.classes)
            and (not self.providers or provider in self.providers)
            and provider not in self.except_providers
            and (self.reply is None or self.reply.search(reply[:SEARCHED]) is not None)
        )


@dataclass(frozen=True, kw_only=True)
class VolumeTerms:
    """How volumes are counted: per `span`, which takes what comes up to `grace` after its end; `kept` so long."""

    span: timedelta = timedelta(hours=1)
    grace: timedelta = timedelta(minutes=10)
    kept: timedelta = timedelta(days=15)


@dataclass(frozen=True, kw_only=True)
class SurgeTerms:
    """When a span's volume is a surge: above median + `spreads` x spread, above `times` x median, and above `least`.

    Compared with the same span on up to `days` earlier days, of which the key must have lived `min_days`.
    """

    enabled: bool = True
    days: int = 14
    min_days: int = 5
    spreads: float = 5.0
    times: float = 2.0
    least: int = 1_000


@dataclass(frozen=True, kw_only=True)
class FuseTerms:
    """When a tenant is paused for `lasts`: a rate over `within` above its limit, of at least so many mails."""

    enabled: bool = True
    within: timedelta = _DAY
    lasts: timedelta = _DAY
    bounce_rate: float = 0.05
    bounce_mails: int = 1_000
    complaint_rate: float = 0.001
    complaint_mails: int = 5_000


_RULE_FIELDS: Final = (
    fields.choice("scope", get_args(Scope)),
    fields.choice("action", get_args(Action)),
    fields.whole("count", 1, 1_000),
    fields.duration("within", _SECOND, _DAY),
    fields.duration("for", _SECOND, 7 * _DAY, needed=False),
    fields.number("factor", 0, 1, needed=False),
    fields.number("share", 0, 1, needed=False),
    fields.names("types", get_args(DeliveryType)),
    fields.names("classes"),
    fields.patterns("reply"),
    fields.names("providers"),
    fields.names("except_providers"),
    fields.flag("enabled"),
)
_VOLUME_FIELDS: Final = (
    fields.duration("span", timedelta(minutes=1), _DAY),
    fields.duration("grace", _SECOND, _DAY),
    fields.duration("kept", _DAY, 90 * _DAY),
)
_SURGE_FIELDS: Final = (
    fields.flag("enabled"),
    fields.whole("days", 1, 60),
    fields.whole("min_days", 1, 60),
    fields.number("spreads", 0, 100),
    fields.number("times", 1, 1_000),
    fields.whole("least", 1, 10**9),
)
_FUSE_FIELDS: Final = (
    fields.flag("enabled"),
    fields.duration("within", timedelta(minutes=1), 7 * _DAY),
    fields.duration("for", timedelta(minutes=1), 90 * _DAY),
    fields.number("bounce_rate", 0, 1),
    fields.whole("bounce_mails", 1, 10**9),
    fields.number("complaint_rate", 0, 1),
    fields.whole("complaint_mails", 1, 10**9),
)


def rule(source: str, name: str, raw: Any, *, known_classes: frozenset[str]) -> Rule | None:
    """The rule that a table says; None where it is not enabled.  Raises RuleFault."""
    table = f"rule.{name}"
    if not NAME.fullmatch(name) or name in RESERVED:
        taken = f"; {name} is a name of ours" if name in RESERVED else ""
        raise RuleFault(source, table, "(the name)", name, f"must be of a-z, 0-9 and '-', at most 40{taken}")
    values = fields.read(source, table, raw, _RULE_FIELDS)
    if not values.pop("enabled", True):
        return None
    scope: Scope = values["scope"]
    action: Action = values["action"]
    if action not in ACTIONS[scope]:
        raise RuleFault(source, table, "action", action, f"of scope {scope} it must be {_either(ACTIONS[scope])}")
    if (action == "slow_down") != ("factor" in values) or values.get("factor") == 1:
        fix = "slow_down needs it, below 1, such as 0.5, and nothing else has it"
        raise RuleFault(source, table, "factor", values.get("factor"), fix)
    if (action == "flag") == ("for" in values):
        fix = 'every action needs it, such as "1h", but flag, which has none'
        raise RuleFault(source, table, "for", raw.get("for"), fix)
    if "classes" not in values and "reply" not in values:
        raise RuleFault(source, table, "classes", None, "name classes, or patterns in reply, or both")
    classes = frozenset(values.pop("classes", ()))
    if unknown := sorted(classes - known_classes):
        raise RuleFault(source, table, "classes", unknown, "no such class; replies.toml has them all")
    for field in ("types", "providers", "except_providers"):
        if field in values:
            values[field] = frozenset(values[field])
    return Rule(name=name, classes=classes, lasts=values.pop("for", None), **values)


def volumes(source: str, raw: Any) -> VolumeTerms:
    """What [volumes] says.  Raises RuleFault."""
    terms = VolumeTerms(**fields.read(source, "volumes", raw, _VOLUME_FIELDS))
    if _DAY % terms.span:
        raise RuleFault(source, "volumes", "span", raw["span"], 'a day must be a whole number of them, as of "1h"')
    if terms.grace > terms.span:
        raise RuleFault(source, "volumes", "grace", raw["grace"], "at most a span: two spans are open at once at most")
    return terms


def surge(source: str, raw: Any, *, kept: timedelta) -> SurgeTerms:
    """What [surge] says.  Raises RuleFault."""
    terms = SurgeTerms(**fields.read(source, "surge", raw, _SURGE_FIELDS))
    if terms.min_days > terms.days:
        raise RuleFault(source, "surge", "min_days", terms.min_days, f"at most `days`, which is {terms.days}")
    if terms.days * _DAY >= kept:
        raise RuleFault(source, "surge", "days", terms.days, f"less than `kept` of [volumes], which is {kept.days} d")
    return terms


def fuse(source: str, raw: Any) -> FuseTerms:
    """What [fuse] says.  Raises RuleFault."""
    values = fields.read(source, "fuse", raw, _FUSE_FIELDS)
    terms = FuseTerms(lasts=values.pop("for"), **values)
    if terms.lasts < terms.within:
        fix = "at least as long as `within`: what paused the tenant must be past when the pause ends"
        raise RuleFault(source, "fuse", "for", raw["for"], fix)
    return terms


def _either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
