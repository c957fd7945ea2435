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
    """An operator's or automation's word on a campaign, a slot or a tenant; the most restrictive wins."""

    target: Literal["campaign", "slot", "tenant"]
    key: str
    state: Literal["paused", "cancelled", "suspended"]
    by: str
    reason: str
    at: Timestamp
    until: Timestamp | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender learned of one slot at one provider."""

    slot: Slot
    provider: str
    health: Literal["good", "throttled", "blocked"]
    at: Timestamp
    until: Timestamp | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate partition may spend until it expires: sends a second for each paced campaign."""

    gate_partition: int
    issued_at: Timestamp
    expires_at: Timestamp
    pace_per_s: dict[str, float]
