"""`evenpost chaos runtime` as a user runs it: small, real, and with nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from tests.support.left_over import environment, left_by

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

EVENPOST: Final = Path(sys.executable).with_name("evenpost")
# Its two rounds: a worker stops itself between offsets and commit for longer than a session; the broker is killed.
SEED: Final = "94"
RUN: Final = (EVENPOST, "chaos", "runtime", "--rounds", "2", "--seed", SEED, "--session-timeout", "6", "--events")
INTERRUPT_S: Final = 90.0


def test_a_worker_stopped_in_its_commit_and_a_killed_broker_change_no_effect(tmp_path: Path) -> None:
    """Two rounds amid 6,000 events: exit 0, each check ok, and neither process nor file is left."""
    command = [*RUN, "6000", "--json"]
    ran = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=230)
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.splitlines()
    told = json.loads(line)
    assert told["ok"] and all(check["ok"] and check["value"] <= check["limit"] for check in told["checks"])
    assert {"events without an effect", "commits ahead of an unfinished event"} <= {
        check["name"] for check in told["checks"]
    }
    figures = told["figures"]
    assert figures["rounds"] == {"broker-kill": 1, "stop-in-commit": 1}
    assert figures["events"] == figures["effects"] == 6_000
    # The commit in which the worker stopped did not come about.  (Whether another one had its partitions meanwhile
    # depends on how soon after it the broker ends.)
    assert figures["decided_again"] > 0, figures
    # Each of the 24 partitions' commits is in the log; samples are as many as a broker that was killed answered for.
    assert figures["commits"] >= 24 and figures["samples"] > 5, figures
    assert not left_by(tmp_path)
    assert not list(tmp_path.glob("evenpost-chaos-*"))


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    """Interrupted while its workers start: 130, as a shell says it, and nothing is left running."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        chaos = subprocess.Popen([*RUN, "100000"], env=environment(tmp_path), stdout=output, stderr=output)
    deadline = time.monotonic() + INTERRUPT_S
    while not list(tmp_path.glob("evenpost-chaos-*/logs/chaos-2.log")):
        assert chaos.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    assert len(left_by(tmp_path)) > 5
    chaos.send_signal(signal.SIGINT)
    assert chaos.wait(INTERRUPT_S) == 130, log.read_text()
    assert not left_by(tmp_path)
    assert not list(tmp_path.glob("evenpost-chaos-*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "flood"], "'flood' is not a valid Kind; kinds are kill, kill-away, restart"),
        (["--only", "remove", "--rounds", "9"], "9 rounds of remove leave fewer than 2 or more than 5 workers"),
    ],
)
def test_kinds_that_cannot_be_meant_are_refused(arguments: list[str], words: str) -> None:
    """One line that says why, exit 2, and nothing was started."""
    ran = subprocess.run(
        [EVENPOST, "chaos", "runtime", *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    assert ran.returncode == 2
    assert words in " ".join(ran.stderr.split()) and "Traceback" not in ran.stderr
