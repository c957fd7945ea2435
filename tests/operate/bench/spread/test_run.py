"""`evenpost bench spread` from end to end, small: real gates, killed and restarted, deal evenly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.left_over import environment, left_by

EVENPOST: Final = Path(sys.executable).with_name("evenpost")


@pytest.mark.integration
@pytest.mark.timeout(400)
def test_a_small_run_is_even(tmp_path: Path) -> None:
    """A kill, a restart, an IP more and one less: every event has one send, and every window its shares."""
    # A process of its own: it counts its children, and this one has others.
    command = [EVENPOST, "bench", "spread", "--events", "2000", "--restarts", "2", "--json"]
    ran = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=380)
    assert ran.returncode == 0, ran.stderr
    line = json.loads(ran.stdout)
    assert line["ok"] is True
    figures = line["figures"]
    assert figures["sends"] == 2_000
    assert figures["blows"] == ["add an IP", "kill -9 gate-0", "drain an IP", "restart gate-1"]
    assert figures["worst_window"] <= 2 < min(figures["at_random"], figures["counters_forgotten"])
    assert sum(one["dealt"] for one in figures["pool"].values()) == 2_000
    assert not left_by(tmp_path)
