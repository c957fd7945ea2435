"""How soon transactional mail must be accepted.  Pure."""

from typing import Any, Final

import psutil

from streams.operate.bench.ahead.run import Benched
from streams.operate.bench.workloads import percentile
from streams.operate.proof.checks import Check, at_least, at_most

P50_MS: Final = 150.0
P99_MS: Final = 750.0


def checks(benched: Benched, *, latencies: bool) -> list[Check]:
    """Everything that must hold; latencies only where the run is large enough to tell them."""
    worked = benched.worked
    found = [
        at_most("transactional mails not accepted", worked.otherwise, 0, f"ends: {worked.ends}"),
        at_least("marketing mails waiting at the end", worked.waiting, 1, f"of {benched.planned.backlog:,}"),
        at_most("workers started again", benched.restarts, 0, ""),
    ]
    if latencies:
        note = f"event to 250, {worked.asked_per_s:.0f}/s beside {worked.pipeline_per_s:,.0f}/s"
        for share, limit in ((0.5, P50_MS), (0.99, P99_MS)):
            value = round(percentile(worked.took_ms, share), 1)
            found.append(at_most(f"transactional p{share * 100:.0f}, ms", value, limit, note))
    return found


def figures(benched: Benched) -> dict[str, Any]:
    """All of it, for the JSON line."""
    worked = benched.worked
    return {
        "backlog": benched.planned.backlog,
        "waiting_at_the_end": worked.waiting,
        "sink": benched.sink,
        "pipeline_per_s": round(worked.pipeline_per_s, 1),
        "transactional_per_s": round(worked.asked_per_s, 1),
        "asked": worked.asked,
        "took_ms": {
            f"p{share * 100:g}": round(percentile(worked.took_ms, share), 1) for share in (0.5, 0.9, 0.99, 0.999)
        },
        "longest_ms": round(max(worked.took_ms, default=0.0), 1),
        "machine": {"cores": psutil.cpu_count(), "load_1m": round(psutil.getloadavg()[0], 2)},
    }
