"""A message's bytes between DATA and the dot.

Transparency is RFC 5321 4.5.2, line length 4.5.3.1.6, bare CR and LF 2.3.8.  "Framed" is the message with the CRLF of
the DATA line before it, so that its first line is like any other.  "Unsigned" is it without its DKIM-Signature fields
(RFC 6376 3.5): what two signatures of one message have in common.
"""

from typing import Final

from streams.operate.simulator.outcomes import Reply

# Only this ends a message; anything looser is how one message smuggles in another.
TERMINATOR: Final = b"\r\n.\r\n"
# Octets with the CRLF, RFC 5321 4.5.3.1.6: longer lines are cut or refused by real servers, which breaks signatures.
MAX_TEXT_LINE: Final = 1000
_SIGNATURE: Final = b"dkim-signature:"

_BARE_NEWLINE: Final = Reply(code=554, enhanced="5.6.0", text="bare CR or LF in the message (RFC 5321 2.3.8)")
_LONG_LINE: Final = Reply(code=554, enhanced="5.6.0", text="a line is longer than 998 octets (RFC 5321 4.5.3.1.6)")


def unstuff(framed: bytes) -> bytes:
    """The message itself: the frame and each line's leading dot removed."""
    return framed.replace(b"\r\n.", b"\r\n")[2:] if b"\r\n." in framed else framed[2:]


def layout_fault(data: bytes) -> Reply | None:
    """Why a strict server refuses these bytes, or None."""
    if not data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r"):
        return _BARE_NEWLINE
    start = 0
    # From line end to the last line end within reach: a few steps, not one a line.
    while len(data) - start > MAX_TEXT_LINE:
        end = data.rfind(b"\n", start, start + MAX_TEXT_LINE)
        if end < 0:
            return _LONG_LINE
        start = end + 1
    return None


def header_values(data: bytes, *names: bytes) -> list[str | None]:
    """The first value of each header (names in lower case), unfolded and still encoded; None where there is none."""
    framed = b"\r\n" + data
    end = framed.find(b"\r\n\r\n")
    head = framed if end < 0 else framed[:end]
    lowered = head.lower()
    return [_value(head, lowered, name) for name in names]


def unsigned(data: bytes) -> bytes:
    """The message without its DKIM-Signature fields, folded lines included."""
    end = data.find(b"\r\n\r\n")
    head, rest = (data, b"") if end < 0 else (data[: end + 2], data[end + 2 :])
    if _SIGNATURE not in head.lower():
        return data
    kept: list[bytes] = []
    drops = False
    for line in head.splitlines(keepends=True):
        if line[:1] not in {b" ", b"\t"}:
            drops = line.lower().startswith(_SIGNATURE)
        if not drops:
            kept.append(line)
    return b"".join((*kept, rest))


def _value(head: bytes, lowered: bytes, name: bytes) -> str | None:
    label = b"\r\n" + name + b":"
    at = lowered.find(label)
    if at < 0:
        return None
    begin = at + len(label)
    end = head.find(b"\r\n", begin)
    while end >= 0 and head[end + 2 : end + 3] in {b" ", b"\t"}:
        end = head.find(b"\r\n", end + 2)
    value = head[begin:] if end < 0 else head[begin:end]
    return value.replace(b"\r\n", b"").strip().decode("utf-8", "replace")
