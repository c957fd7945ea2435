"""The world of a run: one tenant with a cap, one campaign, eight sending IPs, and recipients made from numbers.  Pure.

Of each EVERY recipient events one asks for a person's mail a second time (`duplicate`), one for another mail of the
same campaign to a person (`capped`), one for mail to a suppressed address (`suppressed`): what a gate must find is
there to be found.  All others end as `accepted`.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from schemas.events import Campaign, Cap, Destination, Egress, Recipient, SuppressionRequest, Tenant
from streams.operate.bench import mailing
from streams.operate.bench.mailing import Size

SLOTS: Final = 8
CAP_CLASS: Final = "marketing"
# One event in so many is of each story that sends nothing: 1.5 % in all.
EVERY: Final = 200
_SECOND: Final = {50: "duplicate", 100: "capped"}
_SUPPRESSED: Final = 150


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient event, and what must come of it."""

    recipient: Recipient
    ends: str


def tenant() -> Tenant:
    """The one tenant: a person gets one mail of the class a week."""
    return msgspec.structs.replace(mailing.tenant(), caps=(Cap(class_=CAP_CLASS, max=1, per="7d"),))


def campaign(size: Size) -> Campaign:
    """The one campaign, of so many KB."""
    return msgspec.structs.replace(mailing.campaign(size), cap_class=CAP_CLASS)


def egress() -> Iterator[Egress]:
    """The sending IPs."""
    return mailing.egress(SLOTS)


def asked(events: int) -> Iterator[Asked]:
    """All recipient events, in their order: a second one of a person comes right behind the first."""
    for number in range(events):
        story = number % EVERY
        if (ends := _SECOND.get(story)) is not None:
            yield Asked(recipient=_recipient(number - 1, dedup_key=None if ends == "duplicate" else "2"), ends=ends)
        else:
            yield Asked(recipient=_recipient(number), ends="suppressed" if story == _SUPPRESSED else "accepted")


def messages(events: int) -> int:
    """How many of so many events are mail."""
    return sum(one.ends == "accepted" for one in asked(events))


def outcomes(events: int) -> dict[str, Counter[str]]:
    """The final outcomes of each person's events."""
    found: dict[str, Counter[str]] = {}
    for one in asked(events):
        found.setdefault(one.recipient.recipient_id, Counter())[one.ends] += 1
    return found


def suppressions(events: int, at: datetime) -> Iterator[SuppressionRequest]:
    """What upstream asks for before the campaign."""
    for one in asked(events):
        if one.ends == "suppressed":
            yield SuppressionRequest(
                action="add",
                scope=f"tenant:{mailing.TENANT}",
                reason="unsubscribe",
                address=one.recipient.to.address,
                at=at,
            )


def _recipient(number: int, *, dedup_key: str | None = None) -> Recipient:
    return Recipient(
        tenant=mailing.TENANT,
        campaign_id=mailing.CAMPAIGN,
        recipient_id=mailing.recipient_id(number),
        to=Destination(address=mailing.address(number)),
        variables=mailing.variables(number),
        dedup_key=dedup_key,
    )
