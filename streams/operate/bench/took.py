"""What a sink took: how often each address was written to, and some of the messages as they came.

1. smtp-sink's file has one message after the other, each behind the session's own words (`X-Client-Addr` to
   `Received`), with line feeds alone and a blank line behind it; dots are taken off already (RFC 5321 4.5.2).
2. The simulator's log has a line for each, and its folder the messages.
"""

import mmap
import re
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from streams.operate.simulator import read_log

# The lines that smtp-sink puts above a message; a body of base64 or quoted-printable mail has none such.
_ABOVE: Final = re.compile(
    rb"^X-Client-Addr: .*\nX-Client-Proto: .*\n(?:X-Helo-Args: .*\n)?X-Mail-Args: .*\n"
    rb"X-Rcpt-Args: <(?P<to>[^>\n]*)>.*\nReceived: .*\n(?:\t.*\n)*",
    re.MULTILINE,
)


class Took(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by the address that they were for, and a sample of them as they came over the wire."""

    addresses: Counter[str]
    sample: tuple[bytes, ...]


def of_smtp_sink(kept: Path, every: int) -> Took:
    """From its file; each `every`-th message is one of the sample.  No file: it took nothing."""
    addresses: Counter[str] = Counter()
    sample: list[bytes] = []
    if not kept.exists() or not kept.stat().st_size:
        return Took(addresses=addresses, sample=())
    with kept.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as all_of_it:
        began = -1
        for number, above in enumerate(_ABOVE.finditer(all_of_it)):
            if began >= 0:
                sample.append(_message(all_of_it[began : above.start()]))
            addresses[above["to"].decode()] += 1
            began = above.end() if number % every == 0 else -1
        if began >= 0:
            sample.append(_message(all_of_it[began:]))
    return Took(addresses=addresses, sample=tuple(sample))


def of_simulator(log: Path, kept: Path) -> Took:
    """From its log, and what it kept."""
    addresses = Counter(address for entry in read_log(log) if entry.accepted for address in entry.rcpt_to)
    return Took(addresses=addresses, sample=tuple(mail.read_bytes() for mail in sorted(kept.glob("*.eml"))))


def _message(text: bytes) -> bytes:
    """With the line ends that it had, and without the blank line behind it."""
    return text.removesuffix(b"\n").replace(b"\n", b"\r\n")
