"""`evenpost bench pipeline` from end to end, small: it is right, and says so as scripts want it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.left_over import environment, left_by

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

EVENPOST: Final = Path(sys.executable).with_name("evenpost")
CHECKS: Final = {
    "events without their one end",
    "persons with other outcomes",
    "mail lost, doubled or unasked",
    "ClickHouse = Kafka",
    "workers started again",
    "processes left",
    "not at its end in time",
}


def ran(tmp_path: Path, *options: str) -> Any:
    """The JSON line of a run of 400 events, which ends well and leaves nothing."""
    command = [EVENPOST, "bench", "pipeline", "--messages", "400", "--json", *options]
    result = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=230
    )
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert not left_by(tmp_path)
    assert not list(tmp_path.glob("evenpost-bench-*"))
    return json.loads(line)


def test_a_small_run_is_right(tmp_path: Path) -> None:
    """400 events, 394 of them mail of 10 KB: each check holds, costs are told by role, none is judged."""
    told = ran(tmp_path)
    assert {one["name"] for one in told["checks"]} == CHECKS | {"signatures by dkimpy"}
    assert all(one["ok"] for one in told["checks"])
    figures = told["figures"]
    assert figures["messages"] == 394
    assert figures["octets"] == pytest.approx(10_240, rel=0.03)
    roles = figures["cpu_ms_by_role"]
    assert roles.keys() == {"gate", "sender", "feedback", "control", "warehouse", "kafka", "sink"}
    ours = sum(cost for role, cost in roles.items() if role not in {"kafka", "sink"})
    assert figures["cpu_ms"] == pytest.approx(ours, rel=0.01)
    before, after = figures["signatures_per_core_s"]
    assert figures["efficiency"] == pytest.approx(1000 / ours / ((before + after) / 2), rel=0.01)


def test_without_dkim_nothing_is_signed(tmp_path: Path) -> None:
    """The figure says so, and what came to the sink bears no signature; 30 KB each, by two gates and two senders."""
    told = ran(tmp_path, "--no-dkim", "--size", "30", "--gates", "2", "--senders", "2")
    assert {one["name"] for one in told["checks"]} == CHECKS | {"signed in spite of --no-dkim"}
    assert told["figures"]["dkim"] is False
    assert told["figures"]["octets"] == pytest.approx(30_720, rel=0.03)
