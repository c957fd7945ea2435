"""An address as the wire takes it: ASCII local part, A-label domain (RFC 5321, RFC 5891)."""

import re
from typing import Final

import idna

# RFC 5322 3.2.3.  Some Japanese carriers gave out local parts with doubled or trailing dots: those must be quoted.
_DOT_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_QUOTED: Final = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"')
_LABELS: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)

LOCAL_OCTETS: Final = 64  # RFC 5321 4.5.3.1.1


def wire_domain(domain: str) -> str:
    """A domain in lower-case A-labels.  Raises ValueError in words that do not quote it."""
    try:
        labels = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise ValueError("the domain is no IDNA name") from None
    if not _LABELS.fullmatch(labels):
        raise ValueError("the domain is no host name")
    return labels


def wire_address(address: str) -> str:
    """`local@domain` for SMTP commands and headers.  Raises ValueError in words that do not quote it."""
    local, at, domain = address.rpartition("@")
    if not at or not local:
        raise ValueError("an address is local-part@domain")
    if not local.isascii():
        raise ValueError("the local part is not ASCII, and SMTPUTF8 (RFC 6531) is not offered")
    if not _DOT_ATOM.fullmatch(local) and not _QUOTED.fullmatch(local):
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if not _QUOTED.fullmatch(local):
            raise ValueError("the local part holds a control character")
    if len(local) > LOCAL_OCTETS:
        raise ValueError(f"the local part is longer than {LOCAL_OCTETS} octets")
    return f"{local}@{wire_domain(domain)}"
