"""The frame of a worker: how it waits for its cluster, how it is asked to end, and that a name is one process's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas import topics
from streams.runtime.errors import ClusterUnreachableError, MemberTakenError, TopicMissingError
from streams.runtime.group import GroupReader
from streams.runtime.life import member_name
from streams.runtime.life.reaching import wait_for_cluster
from streams.runtime.life.stopping import Stop
from streams.runtime.life.waiting import SAY_EVERY_S, Waiting
from streams.runtime.settings import KafkaSettings, Settings
from tests.runtime.builders import deployed, until

ROOT = Path(__file__).parents[3]
SILENT = KafkaSettings(bootstrap="127.0.0.1:1")
WIDE = {"COLUMNS": "200"}  # argparse breaks lines at a hyphen


async def test_each_signal_asks_for_its_way_to_end() -> None:
    """SIGTERM for what the setting says, SIGUSR1 for scale-in; who was told to leave leaves."""
    stop = Stop("restart").listen()
    assert not stop.is_set() and stop.how is None
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()
    assert stop.how == "restart"
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        while stop.how == "restart":  # noqa: ASYNC110  # signals come when the loop turns
            await asyncio.sleep(0.01)
    assert stop.how == "scale-in"


def test_a_wait_says_so_now_and_then_and_has_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A line at once and each ten seconds; the try after the limit is the last."""
    now = 0.0
    waiting = Waiting(60.0, clock=lambda: now)
    lines = 0
    for second in range(61):
        now = float(second)
        assert waiting.lost(ConnectionError("no answer")) == (second == 60)
        told = capsys.readouterr()
        lines += (told.out + told.err).count("waiting for the cluster")
    assert lines == 60 / SAY_EVERY_S


def test_a_start_without_a_broker_ends_with_what_to_do(tmp_path: Path) -> None:
    """It has asked more than once, and names the setting."""
    with pytest.raises(ClusterUnreachableError, match="EVENPOST_KAFKA__BOOTSTRAP"):
        wait_for_cluster(Settings(data_dir=tmp_path, kafka=SILENT), limit_s=0.5)


@pytest.mark.integration
def test_a_start_before_the_topics_are_there_waits_for_them(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """In vain: the missing topic is named; once they are there, it goes on."""
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap=kafka_bootstrap, prefix=topic_prefix))
    with pytest.raises(TopicMissingError, match="evenpost topics apply"):
        wait_for_cluster(settings, limit_s=0.5)
    wait_for_cluster(deployed(kafka_bootstrap, topic_prefix, tmp_path), limit_s=30)


def test_a_name_is_one_processs_on_a_data_directory(tmp_path: Path) -> None:
    """The second is told who has it; once the first has let go, it gets it."""
    settings = Settings(data_dir=tmp_path)
    with member_name.held(settings, "gate-0"):
        with (
            pytest.raises(MemberTakenError, match=rf"pid {os.getpid()}.*'gate-0'"),
            member_name.held(settings, "gate-0", limit_s=0.1),
        ):
            pytest.fail("held twice")
        with member_name.held(settings, "gate-1", limit_s=0.1):
            pass
    with member_name.held(settings, "gate-0", limit_s=0.1):
        pass


@pytest.mark.integration
def test_whose_name_was_taken_waits_until_it_is_free(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """With the mark and the other alive: refused, no fight.  Once the other has left: goes on, and the mark is gone."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path)
    member_name.wait_until_free(settings, "control", "control-0")  # no mark: nothing is asked
    other = GroupReader(settings, "control", (topics.CAMPAIGNS,), client_id="other", name="control-0")
    until(lambda: other.serve(0.1) == [] and other.owned == 1, "the other is in the group")
    with member_name.held(settings, "control-0"):
        member_name.was_taken(settings, "control-0")
    with pytest.raises(MemberTakenError, match="on host"):
        member_name.wait_until_free(settings, "control", "control-0")
    other.close()
    asyncio.run(other.leave())
    member_name.wait_until_free(settings, "control", "control-0")
    assert not (tmp_path / "run" / "control-0.taken").exists()


def test_whose_name_was_taken_waits_for_a_broker_that_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed broker tells that a name is taken, and is away when its worker is back: no end at the first silence."""
    monkeypatch.setattr(member_name, "_ASK_TIMEOUT_S", 0.3)
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:9"))
    with member_name.held(settings, "control-0"):
        member_name.was_taken(settings, "control-0")
    began = time.monotonic()
    with pytest.raises(ClusterUnreachableError, match=r"no Kafka broker answers at kafka\.bootstrap"):
        member_name.wait_until_free(settings, "control", "control-0", limit_s=2)
    assert time.monotonic() - began >= 2
    assert (tmp_path / "run" / "control-0.taken").exists()


def test_a_worker_without_a_name_has_one_of_its_host() -> None:
    """Whoever starts it, `evenpost worker` or `python -m agents`: two hosts don't take each other's name."""
    assert member_name.default("gate") == f"gate-{socket.gethostname()}"
    argv = [sys.executable, "-m", "agents", "--help"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | WIDE).stdout
    assert "(default: ROLE-HOSTNAME)" in told
