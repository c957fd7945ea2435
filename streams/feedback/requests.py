"""A suppression request becomes an entry of the list, or the tombstone that lifts one.  Pure."""

from dataclasses import dataclass

import msgspec

from schemas import ids
from schemas.events import Suppression, SuppressionRequest

_decoder = msgspec.json.Decoder(SuppressionRequest)


@dataclass(frozen=True, kw_only=True)
class SuppressionKeys:
    """The key that names addresses, and its version."""

    key: bytes
    version: int = 1


def entry_for(value: bytes, keys: SuppressionKeys) -> tuple[str, Suppression | None]:
    """The record to write: key, and the entry or None for a lift.

    Raises ValueError that names the field; the address itself is never in its words.
    """
    try:
        request = _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"suppression request: {error}") from error
    try:
        address = ids.address_id(request.address, keys.key, version=keys.version)
    except ValueError as error:
        raise ValueError(f"suppression request: field 'address': {error}") from error
    key = ids.suppression_key(request.scope, request.channel, request.reason, address)
    if request.action == "lift":
        return key, None
    return key, Suppression(
        scope=request.scope,
        channel=request.channel,
        reason=request.reason,
        address_id=address,
        source=request.source,
        at=request.at,
        until=request.until,
    )
