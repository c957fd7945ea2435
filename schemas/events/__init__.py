"""The structs on the wire, one file a speaker: upstream, the dealer, the sender, operators and automation."""

from schemas.events.controls import Condition, Content, Control, Lease
from schemas.events.deliveries import FINAL_TYPES, GUESSED_IN_DOUBT, Delivery, DeliveryType, Rule
from schemas.events.fields import Kind
from schemas.events.journal import Checkpoint, Intent, Lane, Outcome
from schemas.events.sends import Return, Send
from schemas.events.suppressions import Suppression, SuppressionReason, SuppressionRequest
from schemas.events.upstream import (
    Address,
    Campaign,
    Cap,
    Destination,
    DkimKey,
    Domain,
    Egress,
    Recipient,
    Tenant,
    Via,
)

__all__ = [
    "FINAL_TYPES",
    "GUESSED_IN_DOUBT",
    "Address",
    "Campaign",
    "Cap",
    "Checkpoint",
    "Condition",
    "Content",
    "Control",
    "Delivery",
    "DeliveryType",
    "Destination",
    "DkimKey",
    "Domain",
    "Egress",
    "Intent",
    "Kind",
    "Lane",
    "Lease",
    "Outcome",
    "Recipient",
    "Return",
    "Rule",
    "Send",
    "Suppression",
    "SuppressionReason",
    "SuppressionRequest",
    "Tenant",
    "Via",
]
