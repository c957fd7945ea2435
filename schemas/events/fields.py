"""Field types that several events share, with their limits.

A limit stands here with its reason, so that the JSON Schema shows it and a decoder enforces it in one pass.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

# A tenant id is half of every key (`tenant:recipient`), so it can't hold the colon that splits it.
TenantId = Annotated[
    str, Meta(pattern=r"^[a-z0-9-]{1,40}$(?!\n)", description="Tenant id: [a-z0-9-], 1 to 40 characters.")
]

# Campaign and recipient ids are upstream's own; printable and bounded, so that a key stays well under Kafka's limits.
# Neither whitespace at the edges nor control characters: an id must survive a shell, a CSV and a URL.
CampaignId = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x20\x7f/@]{1,120}$(?!\n)", description="Campaign id: printable, no blank, no '/' or '@'."),
]
RecipientId = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}$(?!\n)", description="Upstream's id of the person, 1 to 200 characters."),
]

Timestamp = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset; written in UTC.")]

Channel = Literal["mail", "push", "line"]
Kind = Literal["marketing", "transactional"]
CampaignState = Literal["running", "paused", "cancelled"]
OnUncertain = Literal["hold", "resend"]

# RFC 5321 4.5.3.1.3: a path is at most 256 octets with its angle brackets; the gate checks the syntax.
AddressText = Annotated[str, Meta(max_length=512, description="Mail address; RFC 6531 allowed in the domain.")]

# RFC 5322 2.1.1: a line is at most 998 octets; a subject of that many characters is no subject.
HeaderText = Annotated[str, Meta(max_length=998, description="Text for a header; no control characters.")]
Slot = Annotated[int, Meta(ge=0, le=9999, description="Sending IP = partition of the sends topics.")]
Weight = Annotated[float, Meta(ge=0.0, le=1e6, description="Relative share; 0 takes no new mail.")]
