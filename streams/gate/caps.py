"""Frequency caps: at most `max` mails of a class to one person of a tenant within `per`, whatever the campaign.

A mail counts from its first dealing until `per` has passed, unless it ended without reaching anyone.
"""

from functools import lru_cache
from typing import Final

from schemas.events import Cap, Rule, Tenant
from streams.gate.person import Person
from streams.gate.state import moment

_UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


@lru_cache(maxsize=256)
def window_ms(per: str) -> int:
    """A window such as `90m` or `7d` in milliseconds; the schema has checked its form."""
    return int(per[:-1]) * _UNIT_MS[per[-1]]


def longest_window_ms(tenant: Tenant | None) -> int:
    """How far back the tenant's caps look."""
    return max((window_ms(cap.per) for cap in tenant.caps), default=0) if tenant else 0


def largest_cap(tenant: Tenant | None) -> int:
    """How many of a person's mails the tenant's largest cap counts."""
    return max((cap.max for cap in tenant.caps), default=0) if tenant else 0


def failed_caps(person: Person, *, tenant: Tenant, cap_class: str | None, now_ms: int) -> list[Rule]:
    """Each cap of the class that is full, and when it has a place again."""
    return [
        rule for cap in tenant.caps if cap.class_ == cap_class and (rule := _failed(cap, person, now_ms)) is not None
    ]


def _failed(cap: Cap, person: Person, now_ms: int) -> Rule | None:
    span = window_ms(cap.per)
    dealt = sorted(
        entry.dealt_ms
        for entry in person.entries
        if entry.counts and entry.cap_class == cap.class_ and entry.dealt_ms + span > now_ms
    )
    if len(dealt) < cap.max:
        return None
    # There is a place again once fewer than `max` are left: when the max-th newest leaves.
    eligible = moment(dealt[-cap.max] + span) if cap.max else None
    return Rule(
        rule="capped", value=str(len(dealt)), limit=f"{cap.max} {cap.class_} per {cap.per}", next_eligible=eligible
    )
