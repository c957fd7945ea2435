"""What became of a recipient event: one enumeration, said by gate, sender and feedback alike."""

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from schemas.events.fields import CampaignId, Channel, Kind, RecipientId, TenantId, Timestamp

FinalType = Literal[
    "accepted",
    "bounced",
    "expired",
    "suppressed",
    "capped",
    "duplicate",
    "invalid",
    "rejected",
    "cancelled",
    "uncertain",
]
OtherType = Literal[
    "waiting",
    "deferred",
    "delivered",
    "opened",
    "clicked",
    "complained",
    "unsubscribed",
    "late_bounce",
]
DeliveryType = Literal[FinalType, OtherType]
FINAL_TYPES: frozenset[str] = frozenset(get_args(FinalType))
# Finals that say, of themselves, that no mail went.  Of a send in doubt that would be a guess: it ends `uncertain`.
GUESSED_IN_DOUBT: Final = frozenset({"expired", "suppressed", "invalid", "rejected", "cancelled"})

# docs/deliveries.md and the warehouse's column are written from these words.
MEANINGS: Final[dict[DeliveryType, str]] = {
    "accepted": "the receiver took responsibility (RFC 5321 4.2.5: 250 after the dot)",
    "bounced": "the receiver refused for good",
    "expired": 'not delivered before `expire_at`, or quiet hours with "drop"',
    "suppressed": "the address is on a suppression list",
    "capped": "the person had enough mail of this class",
    "duplicate": "this send id was asked for before",
    "invalid": "the event or the address can't be sent; `rules` names the field",
    "rejected": "we refused: the content does not compile or render, or an internal error",
    "cancelled": "the campaign was cancelled",
    "uncertain": "nobody knows: connection or sender broke off between dot and reply, and no later attempt went",
    "waiting": "it can't go yet: pace, capacity, start, pause, quiet hours, no slot, unknown campaign; or a sender "
    "gave it back (slot, key, `shaped`: its provider takes no more from that IP now)",
    "deferred": "the receiver said try again later",
    "delivered": "the channel reports that it reached the person's device or mailbox",
    "opened": "the person opened it",
    "clicked": "the person followed a link",
    "complained": "the person reported it as spam (feedback loop, RFC 5965)",
    "unsubscribed": "the person unsubscribed by this mail (RFC 8058)",
    "late_bounce": "a bounce message came after the receiver had accepted it (RFC 3464)",
}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that failed: its name, the value met, the limit, and when the person is next eligible, if ever."""

    rule: str
    value: str
    limit: str
    next_eligible: Timestamp | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One fact about one recipient event; exactly one of them is final.

    Where a bad event leaves a field unknown, it is empty.  `latency_ms` is from `queued_at` (dealt) to `at`.
    """

    event_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]
    send_id: str
    tenant: TenantId
    campaign_id: CampaignId
    recipient_id: RecipientId
    kind: Kind
    channel: Channel
    address_id: str
    domain: str
    provider: str
    pool: str
    slot: int | None
    via: str
    type: DeliveryType
    final: bool
    class_: str = msgspec.field(name="class")
    deal: int
    attempt: int
    smtp_code: int | None
    enhanced_code: str
    reply: str
    rules: tuple[Rule, ...]
    at: Timestamp
    queued_at: Timestamp | None
    latency_ms: int | None
    source_topic: str
    source_partition: int
    source_offset: int
