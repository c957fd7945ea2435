"""What upstream systems say: tenants, sending IPs, campaigns and recipients.

Unknown fields are ignored, so that upstream may add its own.  A missing or mistyped field is a final `invalid`
that names it where tenant, campaign and recipient decode, else a dead letter.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.events.fields import (
    AddressText,
    CampaignId,
    CampaignState,
    Channel,
    HeaderText,
    Kind,
    OnUncertain,
    RecipientId,
    Slot,
    TenantId,
    Timestamp,
    Weight,
)


class DkimKey(msgspec.Struct, frozen=True, kw_only=True):
    """One DKIM key of a domain (RFC 6376): its selector and the PEM file that only senders can read."""

    selector: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,63}$(?!\n)")]
    key_file: Annotated[str, Meta(min_length=1, max_length=400, description="Path below the senders' key directory.")]


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """A domain that a tenant sends from, the return path's domain that belongs to it, and its keys."""

    domain: Annotated[str, Meta(min_length=1, max_length=253)]
    return_path_domain: Annotated[str, Meta(min_length=1, max_length=253)]
    dkim: Annotated[tuple[DkimKey, ...], Meta(min_length=1)]


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """At most `max` sends of a class to one person within `per` (`90m`, `12h`, `7d`, `2w`)."""

    class_: Annotated[str, Meta(min_length=1, max_length=60)] = msgspec.field(name="class")
    max: Annotated[int, Meta(ge=0, le=10_000)]
    per: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,4}[smhdw]$(?!\n)", description="A number and s, m, h, d or w.")]


class SendWindow(msgspec.Struct, frozen=True, kw_only=True):
    """When mail may go, in the recipient's own time: from `opens` to before `closes`, on these days (0 = Monday).

    `closes` not after `opens` is past midnight, on the day after; equal = the whole day.  Outside of it a mail waits
    (`later`) or ends as `expired` (`drop`).
    """

    opens: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description="HH:MM")]
    closes: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description="HH:MM")]
    days: Annotated[tuple[Annotated[int, Meta(ge=0, le=6)], ...], Meta(min_length=1, max_length=7)] = (
        0,
        1,
        2,
        3,
        4,
        5,
        6,
    )
    outside: Literal["later", "drop"] = "later"


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A client of the pool: what it may send from, how often, and its share.

    `window` holds for its marketing mail, where a campaign names none of its own.
    """

    tenant: TenantId
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    domains: Annotated[tuple[Domain, ...], Meta(min_length=1)]
    caps: tuple[Cap, ...] = ()
    weight: Weight = 1.0
    timezone: Annotated[str, Meta(description="IANA name, the default for its recipients.")] = "UTC"
    window: SendWindow | None = None


class Via(msgspec.Struct, frozen=True, kw_only=True):
    """How a slot reaches the world: `bind` to a local address, or `smarthost` at host and port."""

    kind: Literal["bind", "smarthost"]
    address: str | None = None
    host: str | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None


class Warmup(msgspec.Struct, frozen=True, kw_only=True):
    """How a new IP gets known: so many mails to each provider on the first day, times `factor` each good day after."""

    started_at: Timestamp
    initial_per_day: Annotated[int, Meta(ge=1, le=10_000_000)] = 50
    factor: Annotated[float, Meta(gt=1.0, le=10.0)] = 1.5


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """A slot: one sending IP.  `drained` takes no new mail and gives back what waits; `spare` was never used."""

    slot: Slot
    pool: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}$(?!\n)")] = "shared"
    via: Via
    ehlo: Annotated[str, Meta(min_length=1, max_length=253, description="RFC 5321 4.1.1.1: the IP's own name.")]
    weight: Weight = 1.0
    state: Literal["active", "drained", "suspended", "spare"] = "active"
    warmup: Warmup | None = None


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A display name and an address, for From."""

    name: HeaderText | None = None
    address: AddressText


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, in whose name, when and how fast.  An edit makes a new content version."""

    tenant: TenantId
    campaign_id: CampaignId
    kind: Kind
    channel: Channel = "mail"
    from_: Address = msgspec.field(name="from")
    reply_to: AddressText | None = None
    subject: Annotated[str, Meta(min_length=1, max_length=4000, description="Template; one line once rendered.")]
    html: str | None = None
    text: str | None = None
    headers: dict[str, HeaderText] = msgspec.field(default_factory=dict)
    state: CampaignState = "running"
    start_at: Timestamp | None = None
    expire_at: Timestamp | None = None
    pace_per_s: Annotated[float, Meta(gt=0)] | None = None
    cap_class: Annotated[str, Meta(min_length=1, max_length=60)] | None = None
    on_uncertain: OnUncertain = "hold"
    pool: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}$(?!\n)")] = "shared"
    window: SendWindow | None = None


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where a person is reached on a channel."""

    channel: Channel = "mail"
    address: AddressText


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """One person of a campaign.  `dedup_key` tells two wanted mails of one campaign apart (required: transactional)."""

    tenant: TenantId
    campaign_id: CampaignId
    recipient_id: RecipientId
    to: Destination
    variables: dict[str, Any] = msgspec.field(default_factory=dict)
    timezone: str | None = None
    dedup_key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
