"""Runs of a bench, as they would have been measured."""

from __future__ import annotations

from typing import Any

from streams.operate.bench.latency import Latency
from streams.operate.bench.run import Benched, Ran
from streams.operate.bench.workloads import SIDES, Measured, Side, Workload

EVENTS = 20_000


def measured(per_s: float, **given: Any) -> Measured:
    """A process that did so many events a second, alone on its core."""
    seconds = EVENTS / per_s
    fields = {"events": EVENTS, "wall_s": seconds, "cpu_s": seconds, "seen": EVENTS, "checksum": 0, "loop": "uvloop"}
    return Measured(**(fields | given))


def ran(workload: Workload, side: Side, *per_s: float, faults: tuple[str, ...] = ()) -> list[Ran]:
    """A round for each rate."""
    return [
        Ran(workload=workload, side=side, round=number, measured=measured(rate), faults=faults)
        for number, rate in enumerate(per_s, 1)
    ]


# Stock's rate and ours, which is just what is asked for.
ASKED: dict[tuple[Workload, Side], float] = {
    ("raw", "stock"): 1_000.0,
    ("raw", "ours"): 1_350.0,
    ("table", "stock"): 1_000.0,
    ("table", "ours"): 2_800.0,
    ("table", "transactions"): 2_520.0,
    ("send", "stock"): 1_000.0,
    ("send", "ours"): 2_200.0,
    ("send", "plain"): 1_000.0,
    ("ack", "stock"): 1_000.0,
    ("ack", "ours"): 1_000.0,
}


def benched(*, latency: Latency | str | None = None, **rates: float) -> Benched:
    """Just what is asked for, but for the sides given as `raw_ours=1_349`."""
    found: list[Ran] = []
    for workload, sides in SIDES.items():
        for side in sides:
            found += ran(workload, side, rates.get(f"{workload}_{side}", ASKED[workload, side]))
    return Benched(events=EVENTS, rounds=1, ran=tuple(found), latency=latency)


def latency(*, idle_ms: float, gather_ms: float) -> Latency:
    """Each event, and each batch, as long."""
    return Latency(
        idle_ms=(idle_ms,) * 10,
        busy_ms=(60.0,) * 10,
        measured=measured(2_000, commit_ms=(10.0,) * 10, gather_ms=(gather_ms,) * 10),
    )
