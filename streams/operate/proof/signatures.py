"""DKIM (RFC 6376) verified by dkimpy, which is no code of ours."""

from collections.abc import Callable

import dkim

# Asked for a TXT record by its name, as dkimpy asks: with a timeout more, which a lookup in memory has no use for.
Lookup = Callable[..., bytes | None]


def passes(message: bytes, lookup: Lookup) -> bool:
    """Whether the message, byte for byte as received, bears a signature that verifies."""
    try:
        return bool(dkim.verify(message, dnsfunc=lookup))
    except dkim.DKIMException:
        return False
