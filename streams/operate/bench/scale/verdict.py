"""What a second process may cost.  Pure."""

from typing import Any, Final

import psutil

from streams.operate.bench.pipeline.work import BROKER
from streams.operate.bench.scale.outlook import CORES, Outlook, outlook
from streams.operate.bench.scale.work import ONE, Scaled, Shape
from streams.operate.proof.checks import Check, at_most
from streams.runtime.settings import KafkaSettings

# CPU a message of a role of which there are two, to the same of one.
GROWTH: Final = 1.10


def growth(scaled: Scaled, shape: Shape, role: str) -> float:
    """CPU a message of the role in this shape, to that of one gate and one sender."""
    of = dict(scaled.ran)
    return of[shape].worked.cpu_ms(role) / of[ONE].worked.cpu_ms(role)


def checks(scaled: Scaled, *, costs: bool) -> list[Check]:
    """Everything that must hold; costs only where the runs are long enough to tell them."""
    found = []
    for shape, benched in scaled.ran:
        wrong = [one.name for one in benched.checks if not one.ok] + (
            [] if benched.worked.ended else ["not at its end"]
        )
        found.append(at_most(f"{shape.words}: faults", len(wrong), 0, "; ".join(wrong) or f"{scaled.events:,} events"))
    if costs:
        for shape, benched in scaled.ran:
            for role, number in (("gate", shape.gates), ("sender", shape.senders)):
                if number > 1:
                    value = round(growth(scaled, shape, role), 3)
                    note = f"{dict(scaled.ran)[ONE].worked.cpu_ms(role):.3f} to {benched.worked.cpu_ms(role):.3f} ms"
                    found.append(at_most(f"{shape.words}: CPU of the {role}, to one", value, GROWTH, note))
    return found


def outlooks(scaled: Scaled, kafka: KafkaSettings) -> list[Outlook]:
    """For 10, 100 and 1,000 cores, from the run with one of each."""
    worked = dict(scaled.ran)[ONE].worked
    cpu_ms = {role: worked.cpu_ms(role) for role in worked.used}
    ours = frozenset(worked.ours)
    return [outlook(cpu_ms, broker=BROKER, ours=ours, cores=cores, kafka=kafka) for cores in CORES]


def figures(scaled: Scaled, kafka: KafkaSettings) -> dict[str, Any]:
    """All of it, for the JSON line."""
    return {
        "events": scaled.events,
        "shapes": [
            {
                "gates": shape.gates,
                "senders": shape.senders,
                "per_s": round(benched.worked.per_s, 1),
                "cpu_ms_by_role": {role: round(benched.worked.cpu_ms(role), 4) for role in benched.worked.used},
                "peak_mb": {role: round(peak) for role, peak in benched.worked.peak_mb.items()},
            }
            for shape, benched in scaled.ran
        ],
        "outlook": [
            {
                "cores": one.cores,
                "per_s": round(one.per_s),
                "broker_cores": round(one.broker_cores, 1),
                "first": one.first,
                "bounds_per_s": {name: round(per_s) for name, per_s in one.bounds},
            }
            for one in outlooks(scaled, kafka)
        ],
        "machine": {"cores": psutil.cpu_count(), "load_1m": round(psutil.getloadavg()[0], 2)},
    }
