"""`evenpost chaos edge` as a user runs it, small: one kill at each point; every check holds and nothing is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import psutil
import pytest

from streams.operate.chaos.edge.plan import POINTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

EVENPOST: Final = Path(sys.executable).with_name("evenpost")


def chaos(folder: Path, *arguments: str, timeout_s: float = 380) -> subprocess.CompletedProcess[str]:
    """A run that keeps its files below the folder: whoever has it in its environment was started by this test."""
    command = [EVENPOST, "chaos", "edge", "--json", *arguments]
    environment = os.environ | {"TMPDIR": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=timeout_s)


def left_by(folder: Path) -> list[int]:
    """Pids of processes that live with that folder, or one below, for their temporary files."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TMPDIR", "").startswith(str(folder)):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_one_kill_at_each_point(tmp_path: Path) -> None:
    """Eight kills: each done, each witness agrees with the others, no file and no process stays."""
    ran = chaos(tmp_path, "--kills", "8", "--stops", "0", "--broker-kills", "0", "--seed", "3")
    assert ran.returncode == 0, "\n".join(_failing(ran.stderr)) or ran.stderr
    [line] = ran.stdout.splitlines()
    told = json.loads(line)
    assert told["ok"] and all(check["ok"] and check["value"] == check["limit"] == 0 for check in told["checks"])
    figures = told["figures"]
    assert figures["points"].keys() == set(POINTS)
    assert all(point["kills"] == 1 for point in figures["points"].values())
    assert figures["accepted_by_receiver"] > 100 and figures["dropped_after_the_dot"] > 5
    assert not left_by(tmp_path)
    assert not list(tmp_path.iterdir())


def _failing(report: str) -> list[str]:
    """Of the report, the failing checks and the line below each."""
    lines = report.splitlines()
    return [two for at, line in enumerate(lines) if line.startswith("✗") for two in lines[at : at + 8]]


def test_a_point_that_is_none(tmp_path: Path) -> None:
    """One line that names those there are, and exit 2."""
    ran = chaos(tmp_path, "--points", "after-lunch", timeout_s=60)
    assert ran.returncode == 2
    assert "after-lunch" in ran.stderr and "before-intent" in ran.stderr and "Traceback" not in ran.stderr
