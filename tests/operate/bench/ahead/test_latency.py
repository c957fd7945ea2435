"""`evenpost bench latency`: small and real, and what its verdict makes of its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.operate.bench.ahead import verdict
from streams.operate.bench.ahead.run import Benched
from streams.operate.bench.ahead.work import Plan, Worked
from tests.support.left_over import environment, left_by

EVENPOST = Path(sys.executable).with_name("evenpost")


@pytest.mark.acceptance  # 40 s of three workers' time, for what the pipeline's small runs show but for its order
@pytest.mark.integration
@pytest.mark.timeout(240)
def test_a_small_run_is_right(tmp_path: Path) -> None:
    """Transactional mail is accepted while marketing waits, and nothing is left."""
    options = ["--backlog", "8000", "--seconds", "3", "--json"]
    ran = subprocess.run(
        [EVENPOST, "bench", "latency", *options],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=230,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["ok"] and len(told["checks"]) == 3
    figures = told["figures"]
    assert figures["asked"] > 0
    assert 0 < figures["took_ms"]["p50"] <= figures["longest_ms"]
    assert not left_by(tmp_path)
    assert not list(tmp_path.glob("evenpost-bench-*"))


def benched(**given: Any) -> Benched:
    """A run that is just good enough."""
    right = {
        "pipeline_per_s": 400.0,
        "asked_per_s": 40.0,
        "asked": 2_400,
        "took_ms": (150.0,) * 2_350 + (750.0,) * 50,
        "ends": {"accepted": 2_400},
        "waiting": 1,
    }
    planned = Plan(backlog=100_000, share=0.1, seconds=60.0)
    return Benched(planned=planned, sink="smtp-sink", worked=Worked(**(right | given)), restarts=0)


@pytest.mark.parametrize(
    ("given", "failed"),
    [
        ({}, []),
        ({"took_ms": (151.0,) * 2_400}, ["transactional p50, ms"]),
        ({"took_ms": (150.0,) * 2_350 + (751.0,) * 50}, ["transactional p99, ms"]),
        ({"ends": {"accepted": 2_399, "expired quiet": 1}}, ["transactional mails not accepted"]),
        ({"waiting": 0}, ["marketing mails waiting at the end"]),
    ],
)
def test_limits_are_met_exactly_and_missed_by_the_least(given: dict[str, Any], failed: list[str]) -> None:
    """Each names itself; a run in which marketing ended first has shown nothing."""
    checks = verdict.checks(benched(**given), latencies=True)
    assert [one.name for one in checks if not one.ok] == failed


def test_the_figures_are_json() -> None:
    """Percentiles by name."""
    told = json.loads(msgspec.json.encode(verdict.figures(benched())))
    assert told["took_ms"] == {"p50": 150.0, "p90": 150.0, "p99": 750.0, "p99.9": 750.0}
