"""What was measured against what must come of it.  Pure.

The ratio is the median of the rounds' (`paired`).
"""

import statistics
from collections.abc import Callable
from typing import Any, Final

import psutil

from streams.operate.bench import paired
from streams.operate.bench.sender.clock import Measured
from streams.operate.bench.sender.run import BROKER, SENDER, Benched
from streams.operate.bench.sender.sides import SIDES, Side
from streams.operate.proof.checks import Check, at_least, at_most

# What the journal may cost: a tenth of the rate.
LIMIT: Final = 0.9

Figure = Callable[[Measured], float | None]


def rate(one: Measured) -> float:
    """Messages a second."""
    return one.per_s


def ratios(benched: Benched, figure: Figure) -> list[float]:
    """With the journal to without, of each round that has both."""
    ours, beside = ({number: figure(one) for number, one in benched.measured(side).items()} for side in SIDES)
    return paired.ratios(ours, beside)


def median(benched: Benched, side: Side, figure: Figure) -> float | None:
    """Of a side's rounds; None where none has the figure."""
    found = [value for one in benched.measured(side).values() if (value := figure(one)) is not None]
    return statistics.median(found) if found else None


def checks(benched: Benched, *, rates: bool) -> list[Check]:
    """Everything that must hold; the rates only where the run is long enough to tell them."""
    found = [_right(benched, side) for side in SIDES]
    if rates:
        each = ratios(benched, rate)
        sides = " to ".join(f"{median(benched, side, rate) or 0:,.0f}" for side in SIDES)
        told = ", ".join(f"{one:.2f}" for one in each)
        value = round(statistics.median(each), 3) if each else 0.0
        found.append(at_least("rate, with the journal / without", value, LIMIT, f"{sides} messages/s; {told}"))
    return found


def figures(benched: Benched) -> dict[str, Any]:
    """All of it, for the JSON line."""
    return {
        "messages": benched.messages,
        "slots": benched.slots,
        "rounds": benched.rounds,
        "octets": benched.octets,
        "sink": benched.sink,
        "sides": {side: _side(benched, side) for side in SIDES},
        "ratio": _ratio(benched, rate),
        "ratio_cpu": _ratio(benched, lambda one: one.cpu_ms(SENDER)),
        "ratio_broker_cpu": _ratio(benched, lambda one: one.cpu_ms(BROKER)),
        "machine": {"cores": psutil.cpu_count(), "load_1m": round(psutil.getloadavg()[0], 2)},
    }


# By name: the figure of one run, and the decimals that mean something.
FIGURES: Final[dict[str, tuple[Figure, int]]] = {
    "per_s": (rate, 0),
    "cpu_ms": (lambda one: one.cpu_ms(SENDER), 3),
    "broker_cpu_ms": (lambda one: one.cpu_ms(BROKER), 3),
    "commits_per_s": (lambda one: one.commits_per_s, 2),
    "intent_p50_ms": (lambda one: one.told.intent_ms(0.5), 2),
    "intent_p99_ms": (lambda one: one.told.intent_ms(0.99), 2),
}


def _side(benched: Benched, side: Side) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, (figure, decimals) in FIGURES.items():
        value = median(benched, side, figure)
        told[name] = None if value is None else round(value, decimals)
    return told | {"rounds_per_s": [round(one.per_s) for one in benched.measured(side).values()]}


def _ratio(benched: Benched, figure: Figure) -> dict[str, Any]:
    each = [round(one, 3) for one in ratios(benched, figure)]
    return {"median": round(statistics.median(each), 3) if each else None, "rounds": each}


def _right(benched: Benched, side: Side) -> Check:
    wrong = [fault for one in benched.ran if one.side == side for fault in one.faults]
    runs = sum(one.side == side for one in benched.ran)
    right = f"{runs} × {benched.messages:,}: each at the receiver once and delivered, offsets committed"
    return at_most(f"{side} the journal: faults", len(wrong), 0, "; ".join(wrong) or right)
