"""What the sender's bench makes of its measurements: the limit is met exactly, and missed by the least step below."""

from __future__ import annotations

import json
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from streams.operate.bench.sender import report, verdict
from streams.operate.bench.sender.clock import Measured
from streams.operate.bench.sender.page import Told
from streams.operate.bench.sender.run import BROKER, SENDER, Benched, Ran
from streams.operate.bench.sender.sides import Side


def measured(per_s: float) -> Measured:
    """A run of 6,000 messages at this rate, alone on its core."""
    seconds = 6_000 / per_s
    told = Told(commits=4 * seconds, intents=((0.001, 3_000.0), (0.002, 6_000.0)))
    return Measured(messages=6_000, wall_s=seconds, cpu_s={SENDER: seconds, BROKER: seconds / 2}, told=told)


def ran(side: Side, *per_s: float | None) -> tuple[Ran, ...]:
    """A round for each rate; None where nothing was measured."""
    return tuple(
        Ran(
            side=side,
            round=number,
            measured=None if rate is None else measured(rate),
            faults=() if rate is not None else ("the sender ended with 1",),
        )
        for number, rate in enumerate(per_s, 1)
    )


def benched(*runs: Ran) -> Benched:
    """A bench of these."""
    return Benched(messages=10_000, slots=4, rounds=3, octets=10_150, sink="smtp-sink", ran=runs)


def failed(run: Benched) -> list[str]:
    """The names of the checks that don't hold."""
    return [one.name for one in verdict.checks(run, rates=True) if not one.ok]


def test_a_tenth_is_what_the_journal_may_cost() -> None:
    """0.90 is enough, 0.89 is not."""
    assert failed(benched(*ran("with", 900), *ran("without", 1_000))) == []
    assert failed(benched(*ran("with", 890), *ran("without", 1_000))) == ["rate, with the journal / without"]


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """A round in which the machine was slow is slow on both sides, and counts as much as any."""
    run = benched(*ran("with", 950, 100, 800), *ran("without", 1_000, 110, 1_000))
    assert verdict.ratios(run, verdict.rate) == pytest.approx([0.95, 0.909, 0.8], rel=1e-3)
    assert failed(run) == []


def test_a_round_without_its_pair_has_no_ratio() -> None:
    """Its fault fails the bench; where no round has a pair, so does the rate."""
    half = benched(*ran("with", None, 950, 950), *ran("without", 1_000, 1_000, 1_000))
    assert failed(half) == ["with the journal: faults"]
    none = benched(*ran("with", None), *ran("without", 1_000))
    assert failed(none) == ["with the journal: faults", "rate, with the journal / without"]


def test_the_rate_of_a_wrong_run_is_worth_nothing() -> None:
    """One fault fails its side, also where rates are not judged, and says what it was."""
    wrong = msgspec.structs.replace(ran("without", 1_000)[0], faults=("no delivery of 1 sends: 00ff",))
    checks = verdict.checks(benched(*ran("with", 950), wrong), rates=False)
    assert [(one.name, one.note) for one in checks if not one.ok] == [
        ("without the journal: faults", "no delivery of 1 sends: 00ff")
    ]


def test_the_figures_are_json() -> None:
    """Rates, CPU, commits, an intent's way, each side's median; ratios of each round."""
    figures = json.loads(msgspec.json.encode(verdict.figures(benched(*ran("with", 900), *ran("without", 1_000)))))
    assert figures["sides"]["with"] == {
        "per_s": 900,
        "cpu_ms": 1.111,
        "broker_cpu_ms": 0.556,
        "commits_per_s": 4.0,
        "intent_p50_ms": 1.0,
        "intent_p99_ms": 1.98,
        "rounds_per_s": [900],
    }
    assert figures["ratio"] == {"median": 0.9, "rounds": [0.9]}


def test_the_report_shows_figures_and_checks() -> None:
    """In 110 columns, the ratio beside both sides; what is not known is a dash."""
    run = benched(*ran("with", 900), *ran("without", 1_000))
    output = StringIO()
    report.show(Console(file=output, width=report.WIDTH), run, verdict.checks(run, rates=True))
    shown = output.getvalue()
    assert "10,000 messages of 10,150 octets, 4 slots" in shown
    assert "into smtp-sink; the median of 3 round(s)" in shown
    assert "0.90" in next(line for line in shown.splitlines() if line.startswith("messages/s"))
    assert "all 3 checks hold" in shown
    assert max(map(len, shown.splitlines())) <= report.WIDTH
