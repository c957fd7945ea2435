"""What the bench of the spread makes of a run, and how it shows it."""

from __future__ import annotations

import json
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from streams.operate.bench.spread import audit, beside, report, scene, speed, verdict
from streams.operate.bench.spread.evidence import Evidence
from streams.operate.bench.spread.plan import make
from streams.operate.bench.spread.run import Spread
from tests.operate.bench.spread.evidence_builder import GMAIL, dealt, evidence, flawless


def run_of(seen: Evidence, **more: object) -> Spread:
    """A run that left this behind."""
    order = audit.ordered(seen, scene.phases())
    made = Spread(
        plan=make(seed=1, events=3_640, restarts=6),
        evidence=seen,
        order=order,
        evenness=audit.evenness(order.sequences),
        at_random=audit.evenness(beside.at_random(order.sequences)).between,
        forgetful=audit.evenness(beside.forgetful(order.sequences, restarts=6)).between,
        totals=audit.totals(order.sequences),
        deals_per_s={16: 120_000.0, 400: 80_000.0},
        seconds=9.1,
        missed=(),
        unasked=(),
        processes_left=0,
    )
    return msgspec.structs.replace(made, **more)


def failed(run: Spread) -> list[str]:
    """The names of the checks that don't hold."""
    return [one.name for one in verdict.checks(run) if not one.ok]


def test_a_flawless_run_passes() -> None:
    """And its figures are JSON."""
    run = run_of(flawless())
    assert failed(run) == []
    figures = json.loads(json.dumps(verdict.figures(run)))
    assert figures["decisions_per_s"] == 400
    assert figures["windows"]["1000"]["count"] == 603
    assert figures["pool"]["16"]["dealt"] > 0


@pytest.mark.parametrize(
    ("flaw", "name"),
    [
        ({"deals_per_s": {16: 99_000.0, 400: 80_000.0}}, "deals/s over 16 IPs"),
        ({"at_random": 1.9}, "the same, dealt at random"),
        ({"forgetful": 1.9}, "the same, counters forgotten"),
        ({"unasked": ("gate-0 ended unasked with 1",)}, "gates that ended unasked"),
        ({"missed": ("gate-0 ended with 1",)}, "blows that went wrong"),
        ({"processes_left": 1}, "processes left"),
        ({"plan": make(seed=1, events=3_641, restarts=6)}, "events without exactly one send"),
    ],
)
def test_each_flaw_is_seen(flaw: dict[str, object], name: str) -> None:
    """By the check of its name, and by no other."""
    assert failed(run_of(flawless(), **flaw)) == [name]


def test_random_dealing_fails_the_run() -> None:
    """What `beside` compares with would fail if it were the run itself."""
    right = audit.ordered(flawless(), scene.phases()).sequences
    drawn = beside.at_random(right)
    deals = dealt(GMAIL, [(0, 1300), (1, 1200), (2, 1100)])
    slots = [slot for segment in drawn[GMAIL] for slot in segment.slots]
    seen = evidence({GMAIL: [msgspec.structs.replace(one, slot=slot) for one, slot in zip(deals, slots, strict=True)]})
    run = run_of(seen, plan=make(seed=1, events=3_600, restarts=6))
    assert failed(run) == [
        "any window between two changes",
        "windows of 1,000",
        "sequences beyond the bound over changes",
    ]


def test_a_declaration_that_no_gate_used_is_seen() -> None:
    """An IP that was added and got nothing."""
    seen = evidence({GMAIL: dealt(GMAIL, [(0, 3_640)])})
    assert failed(run_of(seen)) == ["versions of weights beside those"]


def test_the_report_names_all_ips_and_checks() -> None:
    """It fits its width."""
    out = StringIO()
    run = run_of(flawless())
    report.show(Console(file=out, width=report.WIDTH), run, verdict.checks(run))
    text = out.getvalue()
    assert "added midway" in text and "drained midway" in text and "all 14 checks hold" in text
    assert max(map(len, text.splitlines())) <= report.WIDTH


def test_the_dealer_alone_is_timed() -> None:
    """Some deals a second; how many is the bench's own check, on a machine that has time."""
    assert speed.deals_per_s(16) > 0
