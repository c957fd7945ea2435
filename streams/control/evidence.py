"""What an incident shows: the last replies as receivers gave them, without mail addresses; figures in words.

A sender masks addresses before a reply gets into an event.  They are looked for again, and in the forms that URLs and
rewritten senders have: what is written to incidents is read by more people than deliveries are.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from streams.control.seen import Seen
from streams.delivery.replies import redacted

# Replies that an incident shows, and characters of each.
LAST: Final = 5
_SHOWN: Final = 200
# `user%40example.com` in a link; `user=example.com@relay` (SRS, VERP) is an address itself, and `user(at)example.com`.
_DISGUISED: Final = re.compile(r"[\w.+=~-]+(?:%40|=40|\(at\)|\[at\])[\w.-]+", re.IGNORECASE)


def masked(reply: str) -> str:
    """The reply, bounded, with each address as `<address>`."""
    return _DISGUISED.sub("<address>", redacted(reply))[:_SHOWN]


def line(seen: Seen) -> str:
    """One delivery: when, whence, whither, and the receiver's words."""
    code = f"{seen.smtp_code} " if seen.smtp_code is not None else ""
    where = f"{seen.slot}/{seen.provider}" if seen.slot is not None else seen.provider
    words = masked(seen.reply)
    # A reply opens with its enhanced code, where it has one.
    enhanced = f"{seen.enhanced_code} " if seen.enhanced_code and seen.enhanced_code not in words else ""
    return f"{seen.at:%Y-%m-%dT%H:%M:%SZ} {where} {seen.type} {seen.class_}: {code}{enhanced}{words}".rstrip(" :")


def lines(last: Iterable[Seen]) -> tuple[str, ...]:
    """The latest few, oldest first."""
    return tuple(line(one) for one in list(last)[-LAST:])


def clock(moment: datetime) -> str:
    """A time as incidents tell it."""
    return f"{moment:%Y-%m-%dT%H:%M}Z"
