"""The fleet: all roles as processes, watched, started again, ended in order, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from streams.operate.errors import FleetError, UnknownThingError
from streams.operate.settings_tree import environment
from streams.operate.up import ROLES, Fleet
from streams.runtime.settings import KafkaSettings, Settings, WorkerSettings

pytestmark = pytest.mark.integration

PROGRAM = (sys.executable, str(Path(__file__).with_name("stand_in_worker.py")))
READY_S = 30.0


def settings_on(bootstrap: str | None, data_dir: Path) -> Settings:
    """A small deployment."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix, gate_partitions=1, slots=1)
    return Settings(data_dir=data_dir, kafka=kafka)


def until(fact: Callable[[], bool], what: str) -> None:
    """Poll for a fact."""
    deadline = time.monotonic() + READY_S
    while not fact():
        assert time.monotonic() < deadline, f"{what}: not within {READY_S} s"
        time.sleep(0.05)


@contextlib.contextmanager
def fleet_on(bootstrap: str, data_dir: Path, *, words: list[str] | None = None, **roles: int) -> Iterator[Fleet]:
    """A fleet of stand-in workers, ready."""
    say = (words if words is not None else []).append
    with Fleet(settings_on(bootstrap, data_dir), roles=roles, say=say, program=PROGRAM) as fleet:
        fleet.wait_ready(READY_S)
        yield fleet


def test_every_role_runs_with_the_settings_and_ends_in_order(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Each member knows the broker; the end goes gate, sender, feedback, control, warehouse."""
    with fleet_on(kafka_bootstrap, tmp_path, **dict.fromkeys(ROLES, 1)) as fleet:
        pids = fleet.pids
        assert set(pids) == {f"{role}-0" for role in ROLES}
        assert {one.state for one in fleet.status()} == {"ready"}
        told = json.loads((tmp_path / "run" / "gate-0.json").read_bytes())
        assert told["bootstrap"] == kafka_bootstrap
    assert (tmp_path / "ended").read_text().split() == list(ROLES)
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


def test_a_killed_member_is_started_again_and_named(kafka_bootstrap: str, tmp_path: Path) -> None:
    """SIGKILL by its pid: another pid is ready soon, and what was said names member and signal."""
    words: list[str] = []
    with fleet_on(kafka_bootstrap, tmp_path, words=words, sender=2) as fleet:
        before = fleet.pids
        fleet.kill("sender-1")
        until(lambda: fleet.pids.get("sender-1", before["sender-1"]) != before["sender-1"], "a new pid")
        fleet.wait_ready(READY_S)
        assert fleet.pids["sender-0"] == before["sender-0"]
    assert any(line.startswith("sender-1 ended with signal SIGKILL") for line in words)


def test_a_restart_is_orderly_and_unnoticed_by_the_watcher(kafka_bootstrap: str, tmp_path: Path) -> None:
    """SIGTERM, end, start: no word of an unasked end, and the member ended by itself."""
    words: list[str] = []
    with fleet_on(kafka_bootstrap, tmp_path, words=words, gate=1) as fleet:
        before = fleet.pids["gate-0"]
        fleet.restart("gate-0")
        fleet.wait_ready(READY_S)
        assert fleet.pids["gate-0"] != before
        assert (tmp_path / "ended").read_text() == "gate\n"
        with pytest.raises(UnknownThingError, match="gate-7"):
            fleet.restart("gate-7")
    assert not any("ended with" in line for line in words)


def test_a_member_that_fails_is_tried_later_each_time(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Its last words are shown, the pause doubles, and waiting for it tells the same; once cured it runs."""
    words: list[str] = []
    (tmp_path / "fail-control-0").touch()
    settings = settings_on(kafka_bootstrap, tmp_path)
    with Fleet(settings, roles={"control": 1}, say=words.append, program=PROGRAM) as fleet:
        until(lambda: sum("control-0 ended with exit code 3" in line for line in words) >= 2, "two failures")
        failures = [line for line in words if "ended with" in line]
        assert "again in 0.5 s" in failures[0] and "again in 1.0 s" in failures[1]
        assert "the disk is on fire" in failures[0]
        with pytest.raises(FleetError, match=r"not ready after 0 s: control-0\n.*control-0.log"):
            fleet.wait_ready(0)
        (tmp_path / "fail-control-0").unlink()
        fleet.wait_ready(READY_S)


def test_a_member_that_left_its_group_stays_ended(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Scale-in: it is not started again unasked, the rest is ready without it, and a restart brings it back."""
    words: list[str] = []
    with fleet_on(kafka_bootstrap, tmp_path, words=words, gate=2) as fleet:
        os.kill(fleet.pids["gate-1"], signal.SIGUSR1)
        until(lambda: {one.member: one.state for one in fleet.status()}["gate-1"] == "left", "it left")
        assert fleet.ready and set(fleet.pids) == {"gate-0"}
        fleet.restart("gate-1")
        fleet.wait_ready(READY_S)
        assert set(fleet.pids) == {"gate-0", "gate-1"}
    assert "gate-1 left its group, as it was told to; it stays ended" in words


def test_prometheus_is_told_where_each_member_answers(kafka_bootstrap: str, tmp_path: Path) -> None:
    """A fixed port is the first of as many as there are members; the file is empty once all have ended."""
    settings = settings_on(kafka_bootstrap, tmp_path)
    settings = settings.model_copy(update={"worker": WorkerSettings(http_port=19_464)})
    targets = tmp_path / "run" / "prometheus.json"
    with Fleet(settings, roles={"gate": 2}, program=PROGRAM) as fleet:
        fleet.wait_ready(READY_S)
        until(lambda: targets.exists() and len(json.loads(targets.read_bytes())) == 2, "two targets")
        found = json.loads(targets.read_bytes())
        assert [one["targets"] for one in found] == [["127.0.0.1:19464"], ["127.0.0.1:19465"]]
        assert [one["labels"] for one in found] == [
            {"role": "gate", "member": "gate-0"},
            {"role": "gate", "member": "gate-1"},
        ]
    assert json.loads(targets.read_bytes()) == []


def test_two_fleets_do_not_share_a_data_directory(kafka_bootstrap: str, tmp_path: Path) -> None:
    """The second is refused with the directory's name; once the first has ended, it may."""
    with fleet_on(kafka_bootstrap, tmp_path, gate=1) as first:
        second = Fleet(first.settings, roles={"gate": 1}, program=PROGRAM)
        with pytest.raises(FleetError, match="another `evenpost up`"):
            second.start()
        assert first.ready
    with fleet_on(kafka_bootstrap, tmp_path, gate=1) as third:
        assert third.ready


def test_up_takes_its_processes_along_by_kill_9(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Whoever kills the parent leaves no orphan."""
    code = (
        "import time\nfrom streams.operate.up import Fleet\nfrom streams.operate.settings_tree import load_settings\n"
        f"fleet = Fleet(load_settings(), roles={{'gate': 1, 'sender': 1}}, program={PROGRAM!r})\n"
        "fleet.start(); fleet.wait_ready(30); print(*fleet.pids.values(), flush=True); time.sleep(60)"
    )
    told = environment(settings_on(kafka_bootstrap, tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], env=told, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2 and all(psutil.pid_exists(pid) for pid in pids)
        parent.kill()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the end of the children")


def test_the_embedded_broker_is_part_of_it(tmp_path: Path) -> None:
    """Without a bootstrap it is started, started again on its port, and ends last."""
    words: list[str] = []
    with Fleet(settings_on(None, tmp_path), roles={"gate": 1}, say=words.append, program=PROGRAM) as fleet:
        fleet.wait_ready(READY_S)
        bootstrap, kafka = fleet.bootstrap, fleet.pids["kafka"]
        assert json.loads((tmp_path / "run" / "gate-0.json").read_bytes())["bootstrap"] == bootstrap
        os.kill(kafka, signal.SIGKILL)
        until(lambda: fleet.pids.get("kafka", kafka) != kafka, "a new broker")
        assert fleet.bootstrap == bootstrap
    assert words[-2:] == ["gate stopped", "Kafka stopped"]


def test_a_role_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """A typing error starts nothing."""
    with pytest.raises(UnknownThingError, match="no role postman"):
        Fleet(settings_on(None, tmp_path), roles={"postman": 1})
