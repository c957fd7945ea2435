"""What composing may cost beside its signature.  Pure.

A turn's ratio compares what one core did within a second; the least of the turns counts, as all else that a machine
does only adds.  So a limit can stand in CI: it is no time.
"""

from typing import Any, Final

import psutil

from streams.operate.bench.compose.work import Composed
from streams.operate.bench.mailing import Size
from streams.operate.proof.checks import Check, at_most

# CPU of a message without its RSA signature, as a share of that signature's.  Measured: 0.44 with 10 KB, 0.79 with 30;
# a third more is a change of ours, and not the noise of two machines.  DESIGN.md wants 0.18 with 10 KB.
LIMIT: Final[dict[Size, float]] = {10: 0.60, 30: 1.05}


def share(composed: Composed) -> float:
    """Of a message without its signature to that signature, the least of the turns."""
    return min(one.unsigned_us / one.signature_us for one in composed.turns)


def checks(composed: Composed, *, size: Size) -> list[Check]:
    """Everything that must hold."""
    turns = ", ".join(f"{one.unsigned_us / one.signature_us:.2f}" for one in composed.turns)
    return [
        at_most("messages that dkimpy does not verify", composed.unverified, 0, f"{composed.sampled} of them"),
        at_most("composing / its RSA-2048 signature", round(share(composed), 3), LIMIT[size], f"turns: {turns}"),
    ]


def figures(composed: Composed) -> dict[str, Any]:
    """All of it, for the JSON line."""
    return {
        "messages": composed.messages,
        "octets": composed.octets,
        "whole_us": round(min(one.whole_us for one in composed.turns), 1),
        "unsigned_us": round(min(one.unsigned_us for one in composed.turns), 1),
        "signature_us": round(min(one.signature_us for one in composed.turns), 1),
        "share": round(share(composed), 3),
        "turns": [
            {name: round(getattr(one, name), 1) for name in ("whole_us", "unsigned_us", "signature_us")}
            for one in composed.turns
        ],
        "machine": {"cores": psutil.cpu_count(), "load_1m": round(psutil.getloadavg()[0], 2)},
    }
