"""What CONTROL, operators and senders tell the dealers: compiled content, controls, leases and conditions."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.events.fields import AddressText, CampaignId, Channel, HeaderText, Kind, Slot, TenantId, Timestamp
from schemas.events.upstream import Address, DkimKey


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's content as checked once and never changed; sends name its version.

    `refused` carries the reason in words and nothing to render.  `unsubscribe_url`, `feedback_id` and the versions of
    the keys that its tokens are made with are those of the deployment when it was compiled: other settings since then
    change no byte of a mail that is sent again.  Empty: compiled before they were kept, and the sender's own hold.
    """

    tenant: TenantId
    campaign_id: CampaignId
    version: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]
    state: Literal["compiled", "refused"]
    reason: str = ""
    kind: Kind
    channel: Channel
    from_: Address = msgspec.field(name="from")
    reply_to: AddressText | None = None
    subject: str = ""
    html: str | None = None
    text: str | None = None
    headers: dict[str, HeaderText] = msgspec.field(default_factory=dict)
    domain: str = ""
    return_path_domain: str = ""
    dkim: tuple[DkimKey, ...] = ()
    unsubscribe_url: str = ""
    feedback_id: str = ""
    token_key: Annotated[int, Meta(ge=1)] | None = None
    address_key: Annotated[int, Meta(ge=1)] | None = None
    compiled_at: Timestamp


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's or automation's word on a campaign, a slot or a tenant; the most restrictive wins.

    `provider` narrows a slot's or a tenant's to that provider.  `slow_to`: not stopped, but slowed to that part of its
    rate; who does not know the field stops it, which is safe.  `by` is `operator`, a person's name, or
    `automation:<rule>`: each rule's word has a key of its own (`schemas.ids.control_key`), so none undoes another's.
    """

    target: Literal["campaign", "slot", "tenant"]
    key: str
    provider: str | None = None
    state: Literal["paused", "cancelled", "suspended"]
    slow_to: Annotated[float, Meta(gt=0, lt=1)] | None = None
    by: str
    reason: str
    at: Timestamp
    until: Timestamp | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender learned of one slot at one provider.

    `rate_per_s` is what the slot may send there now, as learned from its replies, `limit_per_s` what is configured;
    None = no limit.  `evidence` is the reply that the latest change rests on.
    """

    slot: Slot
    provider: str
    health: Literal["good", "throttled", "blocked"]
    at: Timestamp
    until: Timestamp | None = None
    rate_per_s: Annotated[float, Meta(ge=0)] | None = None
    limit_per_s: Annotated[float, Meta(ge=0)] | None = None
    evidence: str = ""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate partition may spend until it expires, in sends a second.

    `pace_per_s`: by paced campaign (`tenant:campaign`).  `capacity_per_s`: of marketing mail by `pool/provider`, so
    that no more is queued than leaves within seconds; `per_pool_s` by pool, all providers together.  What is not named
    gets nothing.  `held`: slots that are dealt nothing now, since their sender stands still.
    """

    gate_partition: int
    issued_at: Timestamp
    expires_at: Timestamp
    pace_per_s: dict[str, float]
    capacity_per_s: dict[str, float] = msgspec.field(default_factory=dict)
    per_pool_s: dict[str, float] = msgspec.field(default_factory=dict)
    held: tuple[Slot, ...] = ()
