"""Signed tokens: the return path that a bounce comes back to, and the link that unsubscribes.

- Return path (VERP): `b+<52 base32 characters>@domain`: send id, deal and slot, with a 96-bit tag.  Base32 because
  mail systems fold the case of local parts, and a local part has 64 octets (RFC 5321 4.5.3.1.1): 54 are used.
- Unsubscribe: base64url of `[tenant, campaign, recipient, address id]` and a 128-bit tag.  No address in it.

Each tag is HMAC-SHA-256 over its purpose and payload, so that a token of one kind is no token of the other.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from typing import Final

import msgspec

from schemas.events import Send
from schemas.ids import address_id
from streams.compose.errors import TokenError

_RETURN_PATH: Final = b"evenpost/return-path/1"
_UNSUBSCRIBE: Final = b"evenpost/unsubscribe/1"
_PACKED: Final = struct.Struct(">16sHH")  # send id, deal, slot: 20 octets, and the tag makes 32
_RETURN_TAG: Final = 12  # octets; 2^-96 for a guess, and each guess is a mail to us
_LINK_TAG: Final = 16
_PREFIX: Final = "b+"


class ReturnPath(msgspec.Struct, frozen=True, kw_only=True):
    """Which dealing of which send a bounce is about."""

    send_id: str
    deal: int
    slot: int


class Unsubscribe(msgspec.Struct, frozen=True, array_like=True):
    """Who asks to get no more mail of whom."""

    tenant: str
    campaign_id: str
    recipient_id: str
    address_id: str


class Tokens:
    """Makes and reads tokens with one key; the address key names addresses as suppressions do."""

    def __init__(self, key: bytes, *, address_key: bytes, address_key_version: int = 1) -> None:
        self._key = key
        self._address_key = address_key
        self._address_key_version = address_key_version
        self._links = msgspec.json.Decoder(Unsubscribe)

    def _tag(self, purpose: bytes, payload: bytes, size: int) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + payload, hashlib.sha256)[:size]

    def make_return_path(self, send: Send, domain: str) -> str:
        """The envelope's sender for this dealing, at the return path's domain."""
        # The deal is told modulo 2^16: the send id alone names the mail, the deal says which round of it.
        payload = _PACKED.pack(bytes.fromhex(send.send_id), send.deal & 0xFFFF, send.slot)
        token = base64.b32encode(payload + self._tag(_RETURN_PATH, payload, _RETURN_TAG)).rstrip(b"=")
        return f"{_PREFIX}{token.decode().lower()}@{domain}"

    def read_return_path(self, address: str) -> ReturnPath:
        """What a bounce's recipient says, in any case of letters.  Raises TokenError."""
        local = address.rpartition("@")[0].lower()
        if not local.startswith(_PREFIX):
            raise TokenError("a return path starts with b+")
        try:
            raw = base64.b32decode(local.removeprefix(_PREFIX).upper() + "====")
        except (binascii.Error, ValueError):
            raise TokenError("the return path's token is no base32") from None
        payload, tag = raw[: _PACKED.size], raw[_PACKED.size :]
        if not hmac.compare_digest(tag, self._tag(_RETURN_PATH, payload, _RETURN_TAG)):
            raise TokenError("the return path is not signed by this key")
        send, deal, slot = _PACKED.unpack(payload)
        return ReturnPath(send_id=send.hex(), deal=deal, slot=slot)

    def make_unsubscribe(self, send: Send) -> str:
        """The token of this person's unsubscribe link."""
        name = address_id(send.to.address, self._address_key, version=self._address_key_version)
        payload = msgspec.json.encode(Unsubscribe(send.tenant, send.campaign_id, send.recipient_id, name))
        return base64.urlsafe_b64encode(self._tag(_UNSUBSCRIBE, payload, _LINK_TAG) + payload).rstrip(b"=").decode()

    def read_unsubscribe(self, token: str) -> Unsubscribe:
        """Who unsubscribes.  Raises TokenError."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise TokenError("the unsubscribe token is no base64url") from None
        tag, payload = raw[:_LINK_TAG], raw[_LINK_TAG:]
        if not hmac.compare_digest(tag, self._tag(_UNSUBSCRIBE, payload, _LINK_TAG)):
            raise TokenError("the unsubscribe token is not signed by this key")
        return self._links.decode(payload)
