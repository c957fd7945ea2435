"""The world of a run: the pipeline's, with a transactional campaign beside its marketing, made from numbers.  Pure."""

from collections.abc import Iterator
from typing import Final

import msgspec

from schemas import ids
from schemas.events import Campaign, Destination, Recipient
from streams.operate.bench import mailing

RECEIPT: Final = "receipt"
# Persons of their own, so that no cap and no duplicate is in the way.
_FIRST: Final = 5_000_000


def campaigns() -> Iterator[Campaign]:
    """The marketing, and mail that somebody waits for."""
    yield mailing.campaign()
    yield msgspec.structs.replace(mailing.campaign(), campaign_id=RECEIPT, kind="transactional")


def marketing(count: int) -> Iterator[Recipient]:
    """What waits."""
    return (_recipient(number, mailing.CAMPAIGN) for number in range(count))


def transactional(number: int) -> Recipient:
    """The mail of this number that somebody waits for."""
    return msgspec.structs.replace(_recipient(_FIRST + number, RECEIPT), dedup_key="1")


def key(recipient: Recipient) -> str:
    """Of its record."""
    return ids.person_key(recipient.tenant, recipient.recipient_id)


def _recipient(number: int, campaign: str) -> Recipient:
    return Recipient(
        tenant=mailing.TENANT,
        campaign_id=campaign,
        recipient_id=mailing.recipient_id(number),
        to=Destination(address=mailing.address(number)),
        variables=mailing.variables(number),
    )
