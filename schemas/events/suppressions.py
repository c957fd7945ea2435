"""Who gets no mail: upstream's requests (raw addresses) and the entries made from them (keyed hashes)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.events.fields import AddressText, Channel, Timestamp

Scope = Annotated[
    str,
    Meta(
        pattern=r"^(global|tenant:[a-z0-9-]{1,40})$(?!\n)", description="`global` or `tenant:<id>`: whose mail stops."
    ),
]
SuppressionReason = Literal["hard_bounce", "complaint", "unsubscribe", "manual"]


class SuppressionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Add or lift one entry.  `until` ends it by itself; a lift ends the entry of the same reason."""

    action: Literal["add", "lift"]
    scope: Scope
    reason: SuppressionReason
    channel: Channel = "mail"
    address: AddressText
    source: Annotated[str, Meta(max_length=200)] = ""
    at: Timestamp
    until: Timestamp | None = None


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that stands.  Its key is scope/channel/reason/address id; a lift is a tombstone."""

    scope: Scope
    channel: Channel
    reason: SuppressionReason
    address_id: str
    source: str
    at: Timestamp
    until: Timestamp | None = None
