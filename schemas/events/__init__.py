"""The structs on the wire, one file a speaker: upstream, the dealer, the sender, operators and automation."""

from schemas.events.controls import Condition, Content, Control, Lease
from schemas.events.deliveries import FINAL_TYPES, GUESSED_IN_DOUBT, Delivery, DeliveryType, Rule
from schemas.events.fields import Kind
from schemas.events.journal import Checkpoint, Intent, Lane, Outcome
from schemas.events.sends import Return, Send
from schemas.events.suppressions import Suppression, SuppressionReason, SuppressionRequest
from schemas.events.traffic import Demand, DomainProvider, Incident, Volume, WarmupDay
from schemas.events.upstream import (
    Address,
    Campaign,
    Cap,
    Destination,
    DkimKey,
    Domain,
    Egress,
    Recipient,
    SendWindow,
    Tenant,
    Via,
    Warmup,
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
    "Demand",
    "Destination",
    "DkimKey",
    "Domain",
    "DomainProvider",
    "Egress",
    "Incident",
    "Intent",
    "Kind",
    "Lane",
    "Lease",
    "Outcome",
    "Recipient",
    "Return",
    "Rule",
    "Send",
    "SendWindow",
    "Suppression",
    "SuppressionReason",
    "SuppressionRequest",
    "Tenant",
    "Via",
    "Volume",
    "Warmup",
    "WarmupDay",
]
