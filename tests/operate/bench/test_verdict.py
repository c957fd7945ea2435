"""What the bench makes of its measurements: each limit is met exactly, and missed by the least step beyond."""

from __future__ import annotations

import json

import msgspec
import pytest

from streams.operate.bench import verdict
from streams.operate.bench.run import Benched
from tests.operate.bench.builders import benched, latency, ran


def failed(run: Benched) -> list[str]:
    """The names of the checks that don't hold."""
    return [one.name for one in verdict.checks(run, ratios=True) if not one.ok]


def test_what_is_asked_for_is_enough() -> None:
    """Ratios at their limits, latencies at theirs: all holds."""
    assert failed(benched(latency=latency(idle_ms=20.0, gather_ms=60.0))) == []


@pytest.mark.parametrize(
    ("side", "rate", "named"),
    [
        ("raw_ours", 1_330, "raw: ours / stock"),
        ("table_ours", 2_780, "table: ours / stock"),
        ("send_ours", 2_180, "send: ours / stock"),
        ("table_transactions", 2_470, "table: transactions / ours"),
    ],
)
def test_a_ratio_below_its_limit_fails(side: str, rate: float, named: str) -> None:
    """The side that is too slow is named, and none else."""
    missed = failed(benched(**{side: rate}))
    assert missed
    assert all(name.startswith(named) for name in missed)


def test_latencies_beyond_their_limits_fail() -> None:
    """An idle partition slower than 20 ms; a batch that gathers longer than its window and a commit."""
    assert failed(benched(latency=latency(idle_ms=20.1, gather_ms=1.0))) == ["idle: visible, p50 ms"]
    assert failed(benched(latency=latency(idle_ms=1.0, gather_ms=60.1))) == ["busy: batch gathered, p99 ms"]
    assert failed(benched(latency="not done after 60 s")) == ["latency: faults"]


def test_a_rate_of_a_wrong_run_is_worth_nothing() -> None:
    """One fault of one round fails its side, whatever the rates, and says what it was."""
    run = benched()
    wrong = ran("send", "ours", 9_000, faults=("1 records missing in the output, 0 too many",))
    run = msgspec.structs.replace(run, ran=(*run.ran, *wrong))
    (check,) = [one for one in verdict.checks(run, ratios=False) if not one.ok]
    assert check.name == "send ours: faults"
    assert "1 records missing" in check.note


def test_a_side_that_measured_nothing_misses_its_limit() -> None:
    """A killed process has no rate: neither its fault nor its ratio passes."""
    run = benched()
    kept = tuple(
        msgspec.structs.replace(one, measured=None, faults=("not done after 60 s",))
        if (one.workload, one.side) == ("raw", "ours")
        else one
        for one in run.ran
    )
    names = failed(msgspec.structs.replace(run, ran=kept))
    assert names[0] == "raw ours: faults"
    assert "raw: ours / stock, wall time" in names


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    """A round in which the machine was slow is slow on both sides; one that lacks a side has no ratio."""
    run = Benched(
        events=1, rounds=4, ran=(*ran("raw", "stock", 90, 100, 20), *ran("raw", "ours", 180, 150, 50, 7)), latency=None
    )
    assert verdict.ratio(run, "raw", "ours", "stock") == pytest.approx(2.0)
    assert verdict.ratio(run, "send", "ours", "stock") == 0.0


def test_the_figures_are_json() -> None:
    """Every rate, by round; every ratio; latencies; and what the machine and the libraries were."""
    figures = json.loads(msgspec.json.encode(verdict.figures(benched(latency=latency(idle_ms=9.0, gather_ms=1.0)))))
    assert figures["rates"]["raw"]["ours"]["per_s"] == 1_350
    assert figures["ratios"]["table transactions/ours"] == {"wall": 0.9, "cpu": 0.9}
    assert figures["idle_visible_ms"] == {"p50": 9.0, "p99": 9.0}
    assert figures["versions"]["faust-streaming"] == "0.15.3"
