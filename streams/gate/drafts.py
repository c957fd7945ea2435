"""The send to be: one shape for a mail from its first sight to its last dealing.

A draft is a `Send` that was never dealt: `deal` 0, no content, pool or slot yet.  The gate decides on drafts and on
sends that came back alike; a waiting row holds one.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from schemas import ids, topics
from schemas.events import Destination, Kind, Recipient, Rule, Send
from streams.gate.address import BadAddressError, checked_address, masked
from streams.gate.decode import Names
from streams.gate.quiet import bad_zone
from streams.gate.terms import DeskSettings, Source
from streams.gate.window import zone
from streams.spread.providers import OTHER, provider_of

KINDS: Final[dict[str, Kind]] = {
    topics.RECIPIENTS_TRANSACTIONAL.name: "transactional",
    topics.RECIPIENTS_MARKETING.name: "marketing",
}
_NOWHERE: Final = Destination(address="")


def named_draft(names: Names, origin: Source, partition: int, now: datetime) -> Send:
    """A draft for an event of which only these names decode; it can end, but never go."""
    return _draft(names, origin, partition, now, send_id="", to=_NOWHERE, provider="")


def draft(
    recipient: Recipient,
    origin: Source,
    partition: int,
    now: datetime,
    settings: DeskSettings,
    *,
    rolled_up: Mapping[str, str],
) -> tuple[Send, tuple[Rule, ...]]:
    """The draft of a recipient event, and what is wrong with it beyond its form.

    `rolled_up`: providers of domains that no list names, by their MX hosts, as senders resolved them.
    """
    kind = KINDS[origin.topic]
    faults: list[Rule] = []
    to, provider = recipient.to, ""
    try:
        to = Destination(channel=to.channel, address=checked_address(to.address))
        domain = to.address.rpartition("@")[2].lower()
        provider = provider_of(domain, settings.providers)
        if provider == OTHER:
            provider = rolled_up.get(domain, OTHER)
    except BadAddressError as error:
        faults.append(Rule(rule="to.address", value=masked(to.address), limit=str(error)))
    if to.channel != "mail":
        faults.append(Rule(rule="to.channel", value=to.channel, limit="mail"))
    if kind == "transactional" and recipient.dedup_key is None:
        faults.append(Rule(rule="dedup_key", value="missing", limit="required for transactional mail"))
    if recipient.timezone and zone(recipient.timezone) is None:
        faults.append(bad_zone("timezone", recipient.timezone))
    made = _draft(recipient, origin, partition, now, send_id=ids.send_id(recipient), to=to, provider=provider)
    return made, tuple(faults)


def _draft(
    names: Names | Recipient,
    origin: Source,
    partition: int,
    now: datetime,
    *,
    send_id: str,
    to: Destination,
    provider: str,
) -> Send:
    return Send(
        send_id=send_id,
        tenant=names.tenant,
        campaign_id=names.campaign_id,
        kind=KINDS[origin.topic],
        recipient_id=names.recipient_id,
        to=to,
        variables=names.variables if isinstance(names, Recipient) else {},
        content="",
        created_at=now,
        queued_at=now,
        deal=0,
        attempt=0,
        pool="",
        slot=0,
        gate_partition=partition,
        weights_version=0,
        due=now,
        expire_at=now,
        provider=provider,
        on_uncertain="hold",
        cap_class=None,
        source_topic=origin.topic,
        source_partition=origin.partition,
        source_offset=origin.offset,
        timezone=(names.timezone or "") if isinstance(names, Recipient) else "",
    )
