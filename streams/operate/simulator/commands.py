"""MAIL and RCPT, read: an address, or the reply that refuses the line (RFC 5321 3.3, 4.1.1; SIZE RFC 1870)."""

import re
from typing import Final

from streams.operate.simulator.outcomes import Reply


def _reply(code: int, enhanced: str, text: str) -> Reply:
    return Reply(code=code, enhanced=enhanced, text=text)


TOO_BIG: Final = _reply(552, "5.3.4", "message too big")
_SYNTAX: Final = _reply(501, "5.5.4", "syntax: MAIL FROM:<address> or RCPT TO:<address>, then parameters")
_PARAMETER: Final = _reply(555, "5.5.4", "parameter not known")
_ASCII_ONLY: Final = _reply(553, "5.6.7", "a non-ASCII address needs SMTPUTF8, which is not offered")
_BAD_ADDRESS: Final = _reply(501, "5.1.3", "an address has a local part, an @ and a domain")

# A source route before the address is read over (RFC 5321 4.1.1.3); a quoted local part may hold anything.
_PATH: Final = rb"<(?:@[^:>]*:)?((?:\"(?:[^\"\\]|\\.)*\"|[^<>\s\"])*)>"
_MAIL: Final = re.compile(rb"MAIL FROM: ?" + _PATH + rb"((?: +\S+)*) *", re.IGNORECASE)
_RCPT: Final = re.compile(rb"RCPT TO: ?" + _PATH + rb"((?: +\S+)*) *", re.IGNORECASE)
_SIZE: Final = re.compile(rb"SIZE=(\d{1,20})", re.IGNORECASE)
_BODY: Final = re.compile(rb"BODY=(?:7BIT|8BITMIME)", re.IGNORECASE)


def read_mail(line: bytes, *, max_size: int) -> str | Reply:
    """The sender of a MAIL line; empty for the null sender."""
    match = _MAIL.fullmatch(line)
    if match is None:
        return _SYNTAX
    for parameter in match[2].split():
        size = _SIZE.fullmatch(parameter)
        if size is not None and int(size[1]) > max_size:
            return TOO_BIG
        if size is None and not _BODY.fullmatch(parameter):
            return _PARAMETER
    return match[1].decode("ascii") if match[1].isascii() else _ASCII_ONLY


def read_rcpt(line: bytes) -> str | Reply:
    """The recipient of a RCPT line."""
    match = _RCPT.fullmatch(line)
    if match is None:
        return _SYNTAX
    if match[2].strip():
        return _PARAMETER
    if not match[1].isascii():
        return _ASCII_ONLY
    return match[1].decode("ascii") if all(match[1].rpartition(b"@")) else _BAD_ADDRESS
