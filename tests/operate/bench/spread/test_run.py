"""`evenpost bench spread` from end to end, small: real gates, killed and restarted, deal evenly."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from streams.operate.cli import app


@pytest.mark.integration
@pytest.mark.timeout(400)
def test_a_small_run_is_even() -> None:
    """A kill, a restart, an IP more and one less: every event has one send, and every window its shares."""
    result = CliRunner().invoke(app, ["bench", "spread", "--events", "2000", "--restarts", "2", "--json"])
    assert result.exit_code == 0, result.output
    line = json.loads(result.stdout)
    assert line["ok"] is True
    figures = line["figures"]
    assert figures["sends"] == 2_000
    assert figures["blows"] == ["add an IP", "kill -9 gate-0", "drain an IP", "restart gate-1"]
    assert figures["worst_window"] <= 2 < min(figures["at_random"], figures["counters_forgotten"])
    assert sum(one["dealt"] for one in figures["pool"].values()) == 2_000
