"""What pipelining must bring where the receiver is far away.  Pure."""

import statistics
from typing import Any, Final

import psutil

from streams.operate.bench import paired
from streams.operate.bench.delay.work import SIDES, Benched
from streams.operate.proof.checks import Check, at_least, at_most

# Two round trips a message instead of four would be 2.0.
LIMIT: Final = 1.8


def ratios(benched: Benched) -> list[float]:
    """Ours to aiosmtplib's, of each round."""
    return paired.ratios(benched.per_s("ours"), benched.per_s("aiosmtplib"))


def checks(benched: Benched) -> list[Check]:
    """Everything that must hold."""
    missing = sum(abs(one.counted - benched.messages) for one in benched.ran)
    each = ratios(benched)
    sides = " to ".join(f"{statistics.median(benched.per_s(side).values()):.2f}" for side in SIDES)
    return [
        at_most("messages that the sink counted otherwise", missing, 0, f"{len(benched.ran)} × {benched.messages:,}"),
        at_least(
            "a connection's rate, ours / aiosmtplib", round(statistics.median(each), 2), LIMIT, f"{sides} messages/s"
        ),
    ]


def figures(benched: Benched) -> dict[str, Any]:
    """All of it, for the JSON line."""
    return {
        "messages": benched.messages,
        "round_trip_ms": benched.round_trip_ms,
        "sink": benched.sink,
        "per_s": {side: round(statistics.median(benched.per_s(side).values()), 3) for side in SIDES},
        "ratio": {"median": round(statistics.median(ratios(benched)), 3), "rounds": [*map(_short, ratios(benched))]},
        "machine": {"cores": psutil.cpu_count(), "load_1m": round(psutil.getloadavg()[0], 2)},
    }


def _short(ratio: float) -> float:
    return round(ratio, 3)
