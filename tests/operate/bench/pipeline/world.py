"""A run as it would be, where everything is right; a test puts one thing wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

from streams.operate.bench.pipeline import scene
from streams.operate.bench.pipeline.audit import Evidence
from streams.operate.bench.pipeline.run import Benched
from streams.operate.bench.pipeline.work import BROKER, SINK, Plan, Worked
from streams.operate.bench.took import Took
from streams.operate.proof.usage import Used

EVENTS = 400


def evidence(**given: Any) -> Evidence:
    """What the witnesses say of 400 events in two partitions, 394 of them mail."""
    asked = list(scene.asked(EVENTS))
    mail = [one.recipient.to.address for one in asked if one.ends == "accepted"]
    right = {
        "finals": tuple(
            (one.recipient.recipient_id, one.ends, (number % 2, number // 2)) for number, one in enumerate(asked)
        ),
        "ends": {0: EVENTS // 2, 1: EVENTS // 2},
        "waited": 0,
        "records": {0: (EVENTS, 79_800)},
        "rows": {0: (EVENTS, 79_800)},
        "took": Took(addresses=Counter(mail), sample=()),
        "counted": len(mail),
    }
    return Evidence(**(right | given))


def worked(**given: Any) -> Worked:
    """10,000 messages in 20 s: a core's second of the gate, nine of the sender."""
    used = {
        "gate": Used(cpu_s=1.0, threads={"python": 0.75, "rdk:broker": 0.25, "idle": 0.0}),
        "sender": Used(cpu_s=9.0, threads={"python": 9.0}),
        BROKER: Used(cpu_s=3.0),
        SINK: Used(cpu_s=0.5),
    }
    peaks = dict.fromkeys(used, 100.0)
    right = {"messages": 10_000, "seconds": 20.0, "middle_per_s": 700.0, "used": used, "peak_mb": peaks, "ended": True}
    return Worked(**(right | given))


def benched(**given: Any) -> Benched:
    """A run of them on a machine that signs 2,500 a core-second: 1,000 messages a CPU second, so 0.4 of that."""
    right = {
        "planned": Plan(events=10_152),
        "octets": 10_218,
        "sink": "smtp-sink",
        "signs_per_s": (2_400.0, 2_600.0),
        "worked": worked(),
        "waited": 0,
        "checks": (),
        "tops": {},
    }
    return Benched(**(right | given))
