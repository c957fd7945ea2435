"""What the dealer and the sender say to each other: a send that was dealt, and one that comes back."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.events.fields import CampaignId, Kind, OnUncertain, RecipientId, Slot, TenantId, Timestamp
from schemas.events.upstream import Destination

SendId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)", description="128-bit hash, see schemas.ids.send_id.")]


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """How far the dealer's replicated views had read (next offset, summed over partitions) when it decided.

    `campaigns` is that of `contents`, which a sender needs to render: compiled content follows its campaign.
    """

    campaigns: int = 0
    egress: int = 0
    suppressions: int = 0


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """One mail dealt to one slot.

    `deal` counts dealings of this send id, `attempt` its SMTP transactions so far.  `created_at` is the Date header.
    The source coordinates are those of the recipient event as upstream wrote it.  `weights_version` names the slots and
    weights that it was dealt over, `turn` counts the deals of its gate partition, pool and provider, from 1 and without
    gaps; both 0 = it kept its slot and is no part of an even sequence.  `in_doubt`: an attempt before may have reached
    the person (`on_uncertain` "resend"), so its place under the caps is never given back.  `timezone` is the
    recipient's, as upstream gave it; empty = its tenant's.
    """

    send_id: SendId
    tenant: TenantId
    campaign_id: CampaignId
    kind: Kind
    recipient_id: RecipientId
    to: Destination
    variables: dict[str, Any]
    content: str
    created_at: Timestamp
    queued_at: Timestamp
    deal: int
    attempt: int
    pool: str
    slot: Slot
    gate_partition: int
    weights_version: int
    due: Timestamp
    expire_at: Timestamp
    provider: str
    on_uncertain: OnUncertain
    cap_class: str | None
    source_topic: str
    source_partition: int
    source_offset: int
    views: Views = Views()
    in_doubt: bool = False
    timezone: str = ""
    turn: Annotated[int, Meta(ge=0)] = 0


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """A send that comes back to its dealer.

    `retry` was deferred by the receiver, `parked` could not go now, `drained` lost its slot; each is dealt again
    when `due`.  `give_back` ended without reaching anyone: its place under the frequency cap is free again.
    """

    kind: Literal["retry", "parked", "drained", "give_back"]
    send: Send
    due: Timestamp
    reason: str
    at: Timestamp
