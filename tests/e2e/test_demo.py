"""`evenpost demo` as a user runs it: every check holds, and nothing is left, neither at its end nor after Ctrl-C."""

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
CAMPAIGNS: Final = (
    "acme:autumn", "acme:receipt", "sakura:new-books", "sakura:password-reset", "kaze:last-minute", "kaze:booking",
)  # fmt: skip
CHECKS: Final = {
    *(f"conservation {campaign}" for campaign in CAMPAIGNS),
    "events in Kafka as planned",
    "outcomes as planned",
    "weights that nothing explains",
    "spread in any window",
    "retries from another IP",
    "dead letters",
    "ClickHouse = Kafka",
    "accepted = receiver's log",
    "mail to the suppressed",
    "signatures by dkimpy",
    "workers started again",
    "processes left",
}
INTERRUPT_S: Final = 60.0


def test_the_demo_proves_itself(tmp_path: Path) -> None:
    """1,500 recipients: exit 0, each check ok, the figures make sense, no process and no file is left."""
    command = [EVENPOST, "demo", "--recipients", "1500", "--seed", "7", "--json"]
    ran = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=230)
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.splitlines()
    told = json.loads(line)
    checks = {check["name"]: check for check in told["checks"]}
    assert CHECKS <= checks.keys() <= CHECKS | {"signatures by OpenDKIM"}
    assert told["ok"] and all(check["ok"] and check["value"] <= check["limit"] for check in checks.values())
    figures = told["figures"]
    assert figures["events"] > 1500 > figures["accepted"] > 1350
    assert figures["worst_window_at_random"] > checks["spread in any window"]["limit"]
    assert not left_by(tmp_path)
    assert not list(tmp_path.glob("evenpost-demo-*"))


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    """Interrupted while its workers start: 130, as a shell says it, and nothing is left running."""
    data_dir = tmp_path / "data"
    command = [EVENPOST, "demo", "--recipients", "300", "--data-dir", data_dir]
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        demo = subprocess.Popen(command, env=environment(tmp_path), stdout=stderr, stderr=stderr)
    deadline = time.monotonic() + INTERRUPT_S
    while not (data_dir / "logs" / "warehouse-0.log").exists():
        assert demo.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    assert len(left_by(tmp_path)) > 5
    demo.send_signal(signal.SIGINT)
    assert demo.wait(INTERRUPT_S) == 130, log.read_text()
    assert not left_by(tmp_path)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    """The demo counts from nothing: one line that says so, exit 2, and the folder as it was."""
    (tmp_path / "mine").touch()
    command = [EVENPOST, "demo", "--data-dir", tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == 2
    assert "is not empty" in ran.stderr and "Traceback" not in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
