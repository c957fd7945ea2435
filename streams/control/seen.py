"""A delivery as automation sees it: the fields that rules and counts need, decoded and nothing else.

msgspec skips what a struct does not name, so that most of a delivery's bytes are only walked over.
"""

from datetime import datetime
from typing import Final

import msgspec

from schemas.events.fields import Timestamp

# A sender's clock that runs ahead by more than this would open spans that nobody has reached (NTP keeps it below 0.1).
AHEAD_S: Final = 60.0


class Seen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is left of a delivery; `slot` None: not dealt."""

    tenant: str
    campaign_id: str
    provider: str
    slot: int | None = None
    type: str
    class_: str = msgspec.field(name="class", default="")
    attempt: int = 0
    smtp_code: int | None = None
    enhanced_code: str = ""
    reply: str = ""
    at: Timestamp

    @property
    def tried(self) -> bool:
        """Whether a receiver was asked: an expiry behind a last refusal was, one in the waiting room was not."""
        return self.type in _TRIED or (self.type == "expired" and self.smtp_code is not None)


_TRIED: Final = frozenset({"accepted", "bounced", "deferred", "uncertain"})
decode: Final = msgspec.json.Decoder(Seen).decode

# Between these years all sums of times and spans are dates; what lies outside is a broken clock.
_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2200


def dated(at: datetime) -> bool:
    """Whether it is a time that something can have happened at."""
    return _FIRST_YEAR <= at.year <= _LAST_YEAR
