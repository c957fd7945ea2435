"""Receivers with limits of their own, by the recipient's domain: a hidden rate for each client, and closed doors.

A client is who connects: its address and the name of its EHLO, so that slots behind one smarthost are told apart.

- `pace`: `DOMAIN=RATE`, or `DOMAIN=LOW..HIGH` drawn from a seed (evenly by magnitude): so many recipients a second from
  each client, a second's worth at once; above it RCPT gets 451 4.7.0.
- `block`: `DOMAIN=CLIENT`: RCPT from this address or EHLO name gets 450 4.7.1, as from a provider that
  defers what comes from an address of poor repute.
"""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from streams.operate.simulator.errors import BadSettingError
from streams.operate.simulator.outcomes import Reply

PACE: Final = "pace"
BLOCK: Final = "block"
_SLOWER: Final = Reply(code=451, enhanced="4.7.0", text="too many messages from your address, slow down")
_BLOCKED: Final = Reply(code=450, enhanced="4.7.1", text="client host is on our block list, try again later")


@dataclass(frozen=True, kw_only=True)
class Doors:
    """`paces`: recipients a second by domain; `blocks`: clients by domain."""

    paces: dict[str, float]
    blocks: frozenset[tuple[str, str]]

    @classmethod
    def read(cls, pace: Iterable[str], block: Iterable[str], *, seed: int) -> "Doors":
        """As given on a command line.  Raises BadSettingError."""
        draw = random.Random(seed)  # noqa: S311  # a test's limit, no secret
        paces = {domain: _drawn(text, draw) for domain, text in (_pair("pace", one) for one in pace)}
        return cls(paces=paces, blocks=frozenset(_pair("block", one) for one in block))


class Doorkeeper:
    """Says who may come in; `entered` counts each client's recipients since the last, as a leaking bucket."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._buckets: dict[tuple[str, str, str], tuple[float, datetime]] = {}

    def refusal(self, recipient: str, *, peer: str, helo: str, now: datetime) -> tuple[str, Reply] | None:
        """Outcome and reply for a recipient that may not come in now; None counts one that may."""
        domain = recipient.rpartition("@")[2].lower()
        if {(domain, peer), (domain, helo.lower())} & self._doors.blocks:
            return BLOCK, _BLOCKED
        rate = self._doors.paces.get(domain)
        if rate is None:
            return None
        most, client = max(1.0, rate), (domain, peer, helo)
        left, at = self._buckets.get(client, (most, now))
        left = min(most, left + (now - at).total_seconds() * rate)
        self._buckets[client] = (left - 1 if left >= 1 else left), now
        return None if left >= 1 else (PACE, _SLOWER)


def _pair(name: str, text: str) -> tuple[str, str]:
    domain, _, value = text.partition("=")
    if not domain or not value:
        raise BadSettingError(name, text, "DOMAIN=VALUE")
    return domain.lower(), value.lower()


def _drawn(text: str, draw: random.Random) -> float:
    low, _, high = text.partition("..")
    try:
        rates = float(low), float(high or low)
    except ValueError as error:
        raise BadSettingError("pace", text, "a rate a second, or LOW..HIGH") from error
    if not all(math.isfinite(rate) and rate > 0 for rate in rates):
        raise BadSettingError("pace", text, "above 0")
    return float(rates[0] * (rates[1] / rates[0]) ** draw.random())
