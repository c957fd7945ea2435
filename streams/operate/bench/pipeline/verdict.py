"""What was measured against what must come of it.  Pure.

The one figure that counts is the efficiency: messages for each second of CPU of all our processes, as a share of the
signatures that a core makes in a second.  1.0 would be a pipeline that costs nothing but its signature.
"""

from typing import Any, Final

import psutil

from streams.operate.bench.mailing import Size
from streams.operate.bench.pipeline.run import Benched
from streams.operate.bench.pipeline.work import BROKER
from streams.operate.proof.checks import Check, at_least, at_most

# DESIGN.md, "Budget".
EFFICIENCY: Final[dict[Size, float]] = {10: 0.36, 30: 0.28}
UNSIGNED_MS: Final = 0.40
BROKER_MS: Final = 0.35


def signs_per_s(benched: Benched) -> float:
    """What a core signs in a second: the mean of before and after."""
    return sum(benched.signs_per_s) / len(benched.signs_per_s)


def efficiency(benched: Benched) -> float:
    """See above."""
    return benched.worked.per_cpu_second / signs_per_s(benched)


def total_ms(benched: Benched) -> float:
    """CPU a message of all our processes."""
    return sum(benched.worked.cpu_ms(role) for role in benched.worked.ours)


def checks(benched: Benched, *, rates: bool) -> list[Check]:
    """Everything that must hold; what it costs only where the run is long enough to tell, and nobody looked into it."""
    found = [
        *benched.checks,
        at_most("not at its end in time", int(not benched.worked.ended), 0, "all events, in time"),
    ]
    if rates and not benched.tops:
        found.append(_cost(benched))
        found.append(at_most("CPU of the broker, ms a message", round(benched.worked.cpu_ms(BROKER), 3), BROKER_MS, ""))
    return found


def _cost(benched: Benched) -> Check:
    if not benched.planned.signed:
        return at_most("CPU without DKIM, ms a message", round(total_ms(benched), 3), UNSIGNED_MS, "all our processes")
    per_s = benched.worked.per_cpu_second
    note = f"{per_s:,.0f} messages a CPU second to {signs_per_s(benched):,.0f} signatures"
    return at_least("efficiency", round(efficiency(benched), 4), EFFICIENCY[benched.planned.size], note)


def figures(benched: Benched) -> dict[str, Any]:
    """All of it, for the JSON line."""
    worked = benched.worked
    return {
        "events": benched.planned.events,
        "messages": worked.messages,
        "octets": benched.octets,
        "dkim": benched.planned.signed,
        "profiled": bool(benched.tops),
        "sink": benched.sink,
        "seconds": round(worked.seconds, 2),
        "per_s": round(worked.per_s, 1),
        "middle_per_s": round(worked.middle_per_s, 1),
        "efficiency": round(efficiency(benched), 4),
        "cpu_ms": round(total_ms(benched), 4),
        "cpu_ms_by_role": {role: round(worked.cpu_ms(role), 4) for role in worked.used},
        "cpu_ms_by_thread": {role: _threads(benched, role) for role in worked.used},
        "peak_mb": {role: round(peak) for role, peak in worked.peak_mb.items()},
        "signatures_per_core_s": [round(one) for one in benched.signs_per_s],
        "waited_events": benched.waited,
        "profile": {
            member: {"looks": tops.looks, "functions": dict(tops.functions), "rooms": dict(tops.rooms)}
            for member, tops in benched.tops.items()
        },
        "machine": {"cores": psutil.cpu_count(), "load_1m": round(psutil.getloadavg()[0], 2)},
    }


def _threads(benched: Benched, role: str) -> dict[str, float]:
    """CPU a message by the names of threads, the costliest first; what is below a microsecond is left out."""
    messages = max(benched.worked.messages, 1)
    each = {name: spent * 1000 / messages for name, spent in benched.worked.used[role].threads.items()}
    ordered = sorted(each.items(), key=lambda one: -one[1])
    return {name: told for name, spent in ordered if (told := round(spent, 4)) > 0.001}  # noqa: PLR2004  # see above
