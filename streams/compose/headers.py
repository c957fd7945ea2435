"""Header fields as bytes, written once and never parsed and refolded (RFC 5322, RFC 2047).

The `email` package can turn an encoded line break into a new field when it refolds, so fields are built here from
checked text, and `scan` reads the finished block once more as a receiver would.
"""

import binascii
import re
from collections.abc import Sequence
from typing import Final

# RFC 5322 3.6.8, and no longer than a line that still has room for a value.
FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,70}")
# C0 and C1 controls, and what Unicode calls a line or paragraph separator.
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
LINE_OCTETS: Final = 998  # RFC 5322 2.1.1
FOLD_AT: Final = 78  # as above, the recommended limit

# RFC 2047 2: an encoded word is at most 75 characters, a line that holds one 76.  12 characters frame the word, and
# base64 makes 60 of 45 octets.
_WORD_LINE: Final = 76
_FRAME: Final = 12
_WORD_OCTETS: Final = 45
_PLAIN: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
_PHRASE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_FIELD: Final = re.compile(rb"([!-9;-~]+):(?: [\x20-\x7e]*)?(?:\r\n[ \t][\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*)*\r\n")


def unstructured(name: str, text: str) -> str:
    """A field's value for free text, folded.  The text must hold no control characters."""
    if "=?" not in text and len(name) + 2 + len(text) <= FOLD_AT and (not text or _PLAIN.fullmatch(text)):
        return text
    return encoded_words(text, used=len(name) + 2)


def mailbox(name: str | None, address: str) -> str:
    """`name <address>`; the address is on the wire's form already."""
    name = (name or "").strip()
    if not name:
        return address
    if "=?" not in name and len(name) + len(address) <= FOLD_AT - 10 and _PLAIN.fullmatch(name):
        if not _PHRASE.fullmatch(name):
            name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{name} <{address}>"
    return f"{encoded_words(name, used=len('From: '))}\r\n <{address}>"


def encoded_words(text: str, *, used: int) -> str:
    """RFC 2047 base64 words in UTF-8, one a line, none of which splits a character; `used` is of the first line."""
    words: list[bytes] = []
    word = bytearray()
    room = max(0, (_WORD_LINE - _FRAME - used) // 4 * 3)
    for character in text:
        octets = character.encode()
        if len(word) + len(octets) > room:
            words.append(bytes(word))
            word.clear()
            room = _WORD_OCTETS
        word += octets
    words.append(bytes(word))
    encoded = [f"=?utf-8?B?{binascii.b2a_base64(one, newline=False).decode()}?=" if one else "" for one in words]
    return "\r\n ".join(encoded)


def scan(block: bytes, names: Sequence[bytes]) -> None:
    """Read the serialised block again: exactly these fields, printable ASCII, no bare CR or LF, no line too long.

    Raises ValueError.  It guards against our own mistakes: what it finds was let through before.
    """
    at, found = 0, []
    while match := _FIELD.match(block, at):
        found.append(match[1])
        at = match.end()
    if at != len(block):
        raise ValueError("a line of the header is no field: a control character or a bare line break got in")
    if found != list(names):
        raise ValueError("the header holds a field that was not asked for")
    if max(map(len, block.split(b"\r\n"))) > LINE_OCTETS:
        raise ValueError(f"a header line is longer than {LINE_OCTETS} octets")
