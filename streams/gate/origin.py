"""A misplaced or unkeyed event goes to its partition once, and takes its original coordinates along.

Any client may write recipients, with any partitioner: the gate recomputes the key from the body.  The forwarded record
is the same bytes under the right key, with two headers: `evenpost-origin` = topic/partition/offset, and
`evenpost-origin-mac`, which binds them to these bytes, so that nobody else can claim another record's coordinates.
"""

import hashlib
import hmac

from streams.gate.terms import Source
from streams.runtime.partition.emission import Emission

ORIGIN_HEADER = "evenpost-origin"
MAC_HEADER = "evenpost-origin-mac"
# Kafka's offsets are signed 64-bit: 19 digits.
_NUMBER_DIGITS = 19
_MAC_BYTES = 16


def forwarded(source: Source, value: bytes, *, key: bytes, partition: int, secret: bytes) -> Emission:
    """The record for the partition where its key belongs."""
    origin = f"{source.topic}/{source.partition}/{source.offset}".encode()
    # Other headers are upstream's own; nobody here reads them, and they might not fit beside ours.
    headers = {ORIGIN_HEADER: origin, MAC_HEADER: _mac(origin, value, secret)}
    return Emission(topic=source.topic, key=key, value=value, partition=partition, headers=headers)


def original(source: Source, value: bytes, secret: bytes) -> Source | None:
    """The coordinates that upstream wrote it to, or None: it was not forwarded, or the header is not ours."""
    origin, mac = source.headers.get(ORIGIN_HEADER), source.headers.get(MAC_HEADER)
    if origin is None or mac is None or not hmac.compare_digest(mac, _mac(origin, value, secret)):
        return None
    match origin.decode("ascii", "replace").split("/"):
        case [source.topic, partition, offset] if _number(partition) and _number(offset):
            return Source(
                topic=source.topic,
                partition=int(partition),
                offset=int(offset),
                key=source.key,
                headers=source.headers,
            )
        case _:
            return None


def _number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _NUMBER_DIGITS


def _mac(origin: bytes, value: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, b"origin\0" + origin + b"\0" + value, hashlib.sha256).hexdigest()[: 2 * _MAC_BYTES].encode()
