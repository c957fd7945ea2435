"""Keys, ids and placement: how one fact has one name on every topic.

`send_id`, `event_id` and content versions are 128-bit BLAKE2b (RFC 7693) hashes over length-prefixed parts, so
that no two lists of parts share an encoding.  Placement is murmur2 of the key modulo the partitions, as Java's
and aiokafka's default producers place it.
"""

import hashlib
import hmac
import json
from typing import Any

import idna
from aiokafka.partitioner import murmur2

from schemas.events.controls import Control
from schemas.events.sends import Send
from schemas.events.upstream import Campaign, Domain, Recipient

ID_BYTES = 16  # 128 bits: two of 10^12 sends collide with a chance below 10^-14


def digest(*parts: str) -> str:
    """Hash the parts, each behind its length, to 32 hex characters."""
    state = hashlib.blake2b(digest_size=ID_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(4, "big"))
        state.update(data)
    return state.hexdigest()


def send_id(recipient: Recipient) -> str:
    """Name the mail that this event asks for: the same for every event that asks for the same mail."""
    return digest(recipient.tenant, recipient.campaign_id, recipient.recipient_id, recipient.dedup_key or "")


def source_event_id(topic: str, partition: int, offset: int, step: str) -> str:
    """Name what the gate said of a source record; `step` tells several facts about one record apart."""
    return digest("source", topic, str(partition), str(offset), step)


def deal_event_id(send: Send, type_: str) -> str:
    """Name what became of one dealing of a send."""
    return digest("deal", send.send_id, str(send.deal), type_)


def campaign_shape(campaign: Campaign) -> str:
    """Hash all of a campaign that shapes its messages; pace, state and times do not."""
    shape: list[Any] = [
        campaign.kind,
        campaign.channel,
        campaign.from_.name,
        campaign.from_.address,
        campaign.reply_to,
        campaign.subject,
        campaign.html,
        campaign.text,
        sorted(campaign.headers.items()),
    ]
    return digest(campaign.tenant, campaign.campaign_id, json.dumps(shape, ensure_ascii=False))


def content_version(shape: str, domain: Domain | None) -> str:
    """Name a campaign's shape under the sending domain as it is now: an edit of either is a new version."""
    if domain is None:
        return digest(shape, "")
    keys = [part for key in domain.dkim for part in (key.selector, key.key_file)]
    return digest(shape, domain.domain, domain.return_path_domain, *keys)


def person_key(tenant: str, recipient_id: str) -> str:
    """`tenant:recipient`, the key of recipients and returns."""
    return f"{tenant}:{recipient_id}"


def campaign_key(tenant: str, campaign_id: str) -> str:
    """`tenant:campaign`, the key of campaigns and controls."""
    return f"{tenant}:{campaign_id}"


def content_key(tenant: str, campaign_id: str, version: str) -> str:
    """`tenant:campaign@hash`, the key of contents."""
    return f"{tenant}:{campaign_id}@{version}"


def control_key(control: Control) -> str:
    """`target/key`, narrowed by `/provider`; of automation with `@rule`, so that it overwrites no operator's word."""
    narrowed = f"{control.target}/{control.key}" + (f"/{control.provider}" if control.provider else "")
    author, _, rule = control.by.partition(":")
    return f"{narrowed}@{rule}" if author == "automation" and rule else narrowed


def slot_provider_key(slot: int, provider: str) -> str:
    """`slot/provider`, the key of conditions and warm-up days."""
    return f"{slot}/{provider}"


def suppression_key(scope: str, channel: str, reason: str, address: str) -> str:
    """`scope/channel/reason/address id`, the key of suppressions."""
    return f"{scope}/{channel}/{reason}/{address}"


def partition_for(key: bytes, partitions: int) -> int:
    """Place a key as Java's default partitioner does: murmur2, sign bit cleared, modulo."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def canonical_address(address: str) -> str:
    """Fold an address for comparison: A-label domain, lower case on both sides, no other folding.

    Raises ValueError where there is no domain or it is no IDNA name.
    """
    local, at, domain = address.strip().rpartition("@")
    if not at or not local or not domain:
        raise ValueError("an address is local-part@domain")
    try:
        ascii_domain = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"the domain is no IDNA name: {error}") from error
    return f"{local.lower()}@{ascii_domain.lower()}"


def address_id(address: str, key: bytes, *, version: int = 1) -> str:
    """Name an address without telling it: `<key version>-<HMAC-SHA-256, 128 bits>` of its canonical form."""
    tag = hmac.new(key, canonical_address(address).encode(), hashlib.sha256).digest()[:ID_BYTES]
    return f"{version}-{tag.hex()}"
