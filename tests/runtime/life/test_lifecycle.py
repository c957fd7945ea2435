"""Workers that restart, leave, die and meet their double: what is done again, what moves, and how long it takes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.operate import members
from streams.runtime.life.stopping import TAKEN_EXIT
from streams.runtime.settings import Settings, WorkerSettings
from tests.runtime.builders import deployed, until
from tests.runtime.life.crew import Crew, now_ms

# A worker must be back within its session: two runs side by side on two cores can take that from it.
pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.timeout(240)]

MEMBERS = ("gate-0", "gate-1", "gate-2")
# The default: on a busy machine a worker needs some seconds to be back, and may take no longer than this.
SESSION_S = 12.0
# The longest gap of a restart, on a machine at rest.
GAP_S = 10.0
# What two shared cores at rest take to load the program of a worker; a restart is that, twice over, and a second.
LOADED_S = 1.5
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def crew(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Three workers on six partitions, with events coming; a test leaves three behind as it found them."""
    data_dir = tmp_path_factory.mktemp("lifecycle")
    settings = deployed(
        kafka_bootstrap, f"life{int(time.time())}.", data_dir, gate_partitions=6, session_timeout_s=SESSION_S
    )
    with Crew(settings) as made:
        made.start(*MEMBERS)
        made.feed()
        spread(made)
        yield made


def slowness() -> float:
    """How many times longer than on a machine that is not busy a worker's program takes to be loaded."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import tests.runtime.life.lifecycle_worker"], check=True, cwd=ROOT)
    return max(1.0, (time.monotonic() - began) / LOADED_S)


def say(figure: str) -> None:
    """Tell a figure to who runs the test with -s."""
    sys.stdout.write(f"\n{figure}\n")


def spread(crew: Crew) -> dict[str, list[int]]:
    """Wait until six partitions are over three workers and each has decided something; who has which."""
    until(lambda: sorted(len(crew.partitions(member)) for member in MEMBERS) == [2, 2, 2], "two partitions each")
    since = now_ms()
    until(lambda: len(crew.first_output(list(range(6)), since)) == 6, "events of each partition decided")
    return {member: crew.partitions(member) for member in MEMBERS}


def test_a_rolling_restart_moves_nothing_and_repeats_nothing(crew: Crew) -> None:
    """SIGTERM, end, start, one by one: each has what it had, the others notice nothing, no event comes twice."""
    slower = slowness()
    before, since = spread(crew), now_ms()
    rebalances = {member: crew.log_file(member).read_text().count("event=assigned") for member in MEMBERS}
    for member in MEMBERS:
        child = crew.children[member]
        child.signal(signal.SIGTERM)
        assert child.wait(30) == 0
        crew.start(member)
    assert spread(crew) == before
    for member in MEMBERS:
        assert crew.log_file(member).read_text().count("event=assigned") == rebalances[member] + 1
        assert 'evenpost_repeated_events_total{topic="recipients.marketing"} 0.0' in crew.health(member, "/metrics")
    gap = crew.longest_gap_s(since)
    say(f"rolling restart: longest gap {gap:.1f} s, on a machine {slower:.1f} times slower than one at rest")
    assert gap <= GAP_S * slower
    assert {times for _, times in crew.handed().items()} == {1}


def test_who_is_told_to_leave_leaves_at_once(crew: Crew) -> None:
    """Scale-in: its partitions are decided by others within seconds, long before a session would have ended."""
    moved = spread(crew)["gate-1"]
    child, since = crew.children["gate-1"], now_ms()
    assert {one.member: one.state for one in members.look(crew.settings)} == dict.fromkeys(MEMBERS, "ready")
    assert members.stop(crew.settings, "gate-1", how="scale-in") == child.pid
    assert child.wait(30) == 0
    assert [one.member for one in members.look(crew.settings)] == ["gate-0", "gate-2"]
    assert (crew.settings.data_dir / "run" / "gate-1.left").read_text() == str(child.pid)
    ended = now_ms()
    until(lambda: len(crew.first_output(moved, ended)) == 2, "the moved partitions decided elsewhere")
    took = max(crew.first_output(moved, ended).values())
    say(f"scale-in: ended after {(ended - since) / 1000:.1f} s, its partitions decided {took:.1f} s later")
    assert took < SESSION_S
    crew.start("gate-1")
    spread(crew)


def test_the_partitions_of_a_killed_worker_are_taken_over(crew: Crew) -> None:
    """SIGKILL, not started again: others decide its partitions' events within the session timeout and seconds."""
    lost = spread(crew)["gate-2"]
    crew.children["gate-2"].kill()
    since = now_ms()
    until(lambda: len(crew.first_output(lost, since + 500)) == 2, "the lost partitions decided elsewhere")
    took = max(crew.first_output(lost, since + 500).values())
    say(f"failover: {took:.1f} s after the kill")
    assert took <= 20
    crew.start("gate-2")
    spread(crew)


def test_of_two_with_one_name_the_older_ends_and_says_so(crew: Crew, tmp_path: Path) -> None:
    """KIP-345's fence: one line, an exit code of its own, and nothing is decided twice or never."""
    spread(crew)
    old = crew.children["gate-0"]
    elsewhere = Settings(data_dir=tmp_path, kafka=crew.settings.kafka, worker=WorkerSettings())
    (tmp_path / "logs").mkdir()
    crew.children["double"] = crew.spawn("gate-0", elsewhere)
    assert old.wait(60) == TAKEN_EXIT
    assert "another process runs as member 'gate-0'" in crew.log_file("gate-0").read_text()
    assert (crew.settings.data_dir / "run" / "gate-0.taken").exists()
    until((tmp_path / "run" / "gate-0.json").exists, "the newer one is ready")
    double = crew.children.pop("double")
    assert double.alive
    double.stop(10)
    crew.start("gate-0")
    spread(crew)


def test_every_event_is_decided_once(crew: Crew) -> None:
    """After all that came before (or nothing): each event sent has exactly one output."""
    crew.dry()
    until(lambda: len(crew.outputs()) >= crew.sent, "an output for each event")
    sources = [source for source, _ in crew.outputs()]
    assert len(sources) == len(set(sources)) == crew.sent > 0
