"""The world of a run: sixteen sending IPs of unequal weight, one more to come, fifty tenants of unequal size.  Pure.

Weights are known here by phase: before the new IP, with it, and without the drained one.  What the audit expects is
made from this alone.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from schemas import ids
from schemas.events import Address, Campaign, Content, DkimKey, Domain, Egress, Kind, Tenant, Via
from streams.compose.compile import compile_content

POOL: Final = "shared"
WEIGHTS: Final = (1.0, 0.5, 2.0, 1.0, 0.25, 1.5, 3.0, 0.75, 1.0, 1.25, 0.5, 2.5, 1.0, 0.1, 1.75, 1.0)
# The spare slot that becomes active, and its weight; the slot that is drained.
ADDED: Final = len(WEIGHTS)
ADDED_WEIGHT: Final = 1.5
DRAINED: Final = 5
SLOTS: Final = len(WEIGHTS) + 1
TENANTS: Final = 50
# Every fifth tenant sends transactional mail: a seventh of all mail, as volumes fall with the tenant's rank.
TRANSACTIONAL_EVERY: Final = 5
CAMPAIGN: Final = "all"
# 127.0.0.40 onward: the machine's own; no sender runs, so nothing is sent from them.
FIRST_HOST: Final = 40
_KEY_FILE: Final = "keys/s1.pem"

Shares = Mapping[int, float]


def phases() -> tuple[Shares, Shares, Shares]:
    """Slot and weight: at first, with the new IP, without the drained one."""
    first = dict(enumerate(WEIGHTS))
    more = first | {ADDED: ADDED_WEIGHT}
    return first, more, {slot: weight for slot, weight in more.items() if slot != DRAINED}


def egress() -> Iterator[Egress]:
    """The slots, as upstream declares them at first."""
    for slot in range(len(WEIGHTS)):
        yield _egress(slot, state="active")
    yield _egress(ADDED, state="spare")


def added() -> Egress:
    """The spare slot, active."""
    return _egress(ADDED, state="active")


def drained() -> Egress:
    """The drained slot."""
    return _egress(DRAINED, state="drained")


def _egress(slot: int, *, state: str) -> Egress:
    return Egress(
        slot=slot,
        pool=POOL,
        via=Via(kind="bind", address=f"127.0.0.{FIRST_HOST + slot}"),
        ehlo=f"m{slot}.mail.example",
        weight=ADDED_WEIGHT if slot == ADDED else WEIGHTS[slot],
        state=state,  # type: ignore[arg-type]  # one of the literal's
    )


def tenant_id(rank: int) -> str:
    """The tenant of this rank, from 0, the largest first."""
    return f"t{rank:02d}"


def kind(rank: int) -> Kind:
    """What it sends."""
    return "transactional" if rank % TRANSACTIONAL_EVERY == TRANSACTIONAL_EVERY - 1 else "marketing"


def tenants() -> list[Tenant]:
    """All of them."""
    return [Tenant(tenant=tenant_id(rank), name=f"Tenant {rank}", domains=(_domain(rank),)) for rank in range(TENANTS)]


def campaigns() -> list[Campaign]:
    """One each."""
    return [
        Campaign(
            tenant=tenant_id(rank),
            campaign_id=CAMPAIGN,
            kind=kind(rank),
            from_=Address(name=None, address=f"news@{_domain(rank).domain}"),
            subject="Hello",
            text="Hello.",
            pool=POOL,
        )
        for rank in range(TENANTS)
    ]


def contents(at: datetime) -> Iterator[Content]:
    """The campaigns as CONTROL compiles them."""
    for rank, campaign in enumerate(campaigns()):
        version = ids.content_version(ids.campaign_shape(campaign), _domain(rank))
        yield compile_content(campaign, _domain(rank), version=version, now=at)


def _domain(rank: int) -> Domain:
    name = f"{tenant_id(rank)}.example"
    return Domain(domain=name, return_path_domain=f"bounce.{name}", dkim=(DkimKey(selector="s1", key_file=_KEY_FILE),))
