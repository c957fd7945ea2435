"""What a run must show, each thing against something counted aside.  Pure."""

from collections.abc import Iterator
from typing import Any, Final

import psutil

from streams.operate.bench.spread import scene
from streams.operate.bench.spread.audit import LENGTHS, NOISE
from streams.operate.bench.spread.run import Spread
from streams.operate.bench.spread.speed import LIMITS
from streams.operate.proof.checks import Check, at_least, at_most, named
from streams.spread.check import WINDOW_BOUND

# A wrong dealer must be refused by more than a hair.
_REFUSED: Final = WINDOW_BOUND + 0.01


def checks(found: Spread) -> list[Check]:
    """Everything that must hold."""
    return [*_right(found), *_even(found), *_worth(found), *_quick(found)]


def _right(found: Spread) -> Iterator[Check]:
    seen, order = found.evidence, found.order
    offsets = {place: len(set(each)) for place, each in seen.sources.items()}
    dealt = sum(map(len, seen.sources.values()))
    once = sum(offsets.values())
    faults = abs(found.plan.events - once) + (dealt - once)
    note = f"{found.plan.events:,} events, {dealt:,} sends, {once:,} of them for different ones"
    yield at_most("events without exactly one send", faults, 0, note)
    note = f"{seen.undealt:,} that no dealer counted, {seen.misplaced:,} not in their slot's partition"
    yield at_most("sends out of order", seen.undealt + seen.misplaced, 0, note)
    note = f"{len(order.sequences):,} sequences, turn by turn, against the times of the deals"
    yield at_most("faults in the order of deals", len(order.faults), 0, named(order.faults) or note)
    phases = len(scene.phases())
    note = f"{phases} declarations of the IPs' weights"
    yield at_most("versions of weights beside those", abs(order.versions - phases), 0, note)
    note = named(found.missed) or f"{found.plan.restarts} kills and restarts, an IP added, one drained"
    yield at_most("blows that went wrong", len(found.missed), 0, note)
    yield at_most("gates that ended unasked", len(found.unasked), 0, named(found.unasked) or "none")
    yield at_most("processes left", found.processes_left, 0, "all ended")


def _even(found: Spread) -> Iterator[Check]:
    even = found.evenness
    bound = WINDOW_BOUND + NOISE
    note = "every window of any length, each gate partition, pool and provider"
    yield at_most("any window between two changes", round(even.between, 6), bound, note)
    for length in LENGTHS:
        windows = even.of_length[length]
        if windows.count:
            yield at_most(f"windows of {length:,}", round(windows.worst, 6), bound, f"{windows.count:,} of them")
    note = f"two, and one for each change of weights; the worst window over changes: {even.over:.3f}"
    yield at_most("sequences beyond the bound over changes", even.beyond, 0, note)


def _worth(found: Spread) -> Iterator[Check]:
    """What the checks above are worth: they refuse dealers that are wrong."""
    note = "the same sequences, IPs drawn by their weights"
    yield at_least("the same, dealt at random", round(found.at_random, 3), _REFUSED, note)
    note = f"the same sequences by our dealer, begun anew at {found.plan.restarts} restarts"
    yield at_least("the same, counters forgotten", round(found.forgetful, 3), _REFUSED, note)


def _quick(found: Spread) -> Iterator[Check]:
    for slots, limit in LIMITS.items():
        note = "the dealer alone, a second of one core"
        yield at_least(f"deals/s over {slots} IPs", round(found.deals_per_s[slots]), limit, note)


def figures(found: Spread) -> dict[str, Any]:
    """All of it, for the JSON line."""
    even = found.evenness
    decided = sum(map(len, found.evidence.sources.values()))
    return {
        "seed": found.plan.seed,
        "events": found.plan.events,
        "sends": decided,
        "seconds": round(found.seconds, 1),
        "decisions_per_s": round(decided / found.seconds) if found.seconds else None,
        "blows": [one.name for one in found.plan.blows],
        "sequences": len(found.order.sequences),
        "longest_sequence": max((len(track) for track in found.evidence.tracks.values()), default=0),
        "worst_window": round(even.between, 4),
        "worst_over_changes": round(even.over, 4),
        "windows": {
            str(length): {"count": one.count, "worst": round(one.worst, 4)} for length, one in even.of_length.items()
        },
        "worst_by_provider": {name: round(worst, 4) for name, worst in sorted(even.by_provider.items())},
        "at_random": round(found.at_random, 2),
        "counters_forgotten": round(found.forgetful, 2),
        "pool": {str(slot): {"dealt": one.dealt, "share": round(one.share, 1)} for slot, one in found.totals.items()},
        "pool_worst": round(max((abs(one.dealt - one.share) for one in found.totals.values()), default=0.0), 1),
        "other_outcomes": dict(sorted(found.evidence.outcomes.items())),
        "deals_per_s": {str(slots): round(rate) for slots, rate in found.deals_per_s.items()},
        "machine": {"cores": psutil.cpu_count(), "load_1m": round(psutil.getloadavg()[0], 2)},
    }
