"""What gates, senders and CONTROL tell each other of the traffic: demand, volumes, warm-up, incidents, MX roll-ups."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.events.fields import Slot, Timestamp

Count = Annotated[int, Meta(ge=0)]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)", description="A day in UTC.")]


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate partition would deal now if it had the credit: how many mails wait, by what they wait for.

    `capacity` by `pool/provider` (marketing alone), `paces` by paced campaign, `tenants` by tenant.  A mail that waits
    for something else (a pause, its start, its window) is in none of them.
    """

    gate_partition: int
    at: Timestamp
    capacity: dict[str, Count] = msgspec.field(default_factory=dict)
    paces: dict[str, Count] = msgspec.field(default_factory=dict)
    tenants: dict[str, Count] = msgspec.field(default_factory=dict)


class WarmupDay(msgspec.Struct, frozen=True, kw_only=True):
    """What a warming IP may send to one provider on one day (UTC), and how it got there.

    `stage` counts the good days behind it; it stands still or falls where the day before went badly.  `weight` is the
    part of the IP's weight that spreads the allowance over the day.  `stage` None: warm, no limit any more.
    """

    slot: Slot
    provider: str
    day: Day
    stage: Count | None
    allowance: Count | None
    weight: Annotated[float, Meta(ge=0, le=1)]
    reason: str
    at: Timestamp


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """What one IP, tenant or provider did in one span: each figure counts deliveries of that type.

    `attempts` counts those that asked a receiver, `dead` the bounces (late ones as well) whose class says that the
    address is dead.
    """

    scope: Literal["slot", "tenant", "provider", "slot/provider"]
    key: str
    begins_at: Timestamp
    span_s: Annotated[int, Meta(ge=1)]
    attempts: Count
    accepted: Count
    bounced: Count
    deferred: Count
    complained: Count
    dead: Count = 0


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One firing of a rule of automation or surge detection: what was seen, what was done, until when.

    `scope` and `key` name what it is about (`slot/provider` and `3/gmail`, `tenant` and `acme`).  `value` and `limit`
    are what was compared; `evidence` holds the last few replies or figures.  `coming`: seen before the mail went.
    """

    incident_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]
    rule: str
    scope: Literal["slot", "slot/provider", "tenant", "tenant/provider", "campaign", "provider"]
    key: str
    action: Literal["slow_down", "suspend", "deal_elsewhere", "pause_campaign", "pause_tenant", "flag"]
    value: str
    limit: str
    evidence: tuple[str, ...]
    coming: bool = False
    at: Timestamp
    until: Timestamp | None = None


class DomainProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A domain's provider by its MX hosts (the MX roll-up), as a sender resolved it, where no list names the domain."""

    domain: str
    provider: str
    hosts: tuple[str, ...]
    at: Timestamp
