"""What stands still ends itself, and what has nothing to do, or may not do it, does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from streams.runtime.cluster import Publisher
from streams.runtime.life.stopping import STALLED_EXIT
from streams.runtime.life.vitals import Look, Progress, Reach
from streams.runtime.life.watchdog import LONGEST_LOOK_S, Watch
from streams.runtime.settings import WorkerSettings
from tests.runtime.builders import deployed, until
from tests.runtime.life.crew import Crew

PATIENCE_S = 10.0


def look(beat: int, *, done: int, end: int, held: str | None = None) -> Look:
    """One owner of one topic."""
    progress = Progress(partition=3, reaches=(Reach(topic="t", done=done, end=end),), patience_s=PATIENCE_S)
    return Look(beat=beat, progress=(progress,), held=held)


def verdicts(looks: list[Look], seconds: float = 1.0) -> list[bool]:
    """Whether each look, so many seconds after the one before, was one too many."""
    watch = Watch(loop_patience_s=PATIENCE_S)
    return [watch.observe(one, seconds) is not None for one in looks]


def test_an_owner_that_stands_still_with_something_to_do_is_named() -> None:
    """After its patience, not before; with the seconds and where it stands."""
    watch = Watch()
    found = [watch.observe(look(beat, done=5, end=9 + beat), 1.0) for beat in range(12)]
    assert found[:10] == [None] * 10
    assert found[10] is not None and found[10].progress is not None
    assert (found[10].seconds, found[10].progress.partition, found[10].progress.lag) == (10.0, 3, 14)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200))
def test_an_owner_with_nothing_to_do_is_let_be(waits: list[int]) -> None:
    """However long: lag 0 is no stall."""
    assert not any(verdicts([look(beat, done=7, end=7) for beat in range(len(waits) * 10)]))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=50))
def test_an_owner_that_moves_within_its_patience_is_let_be(pauses: list[int]) -> None:
    """However far behind it is, and however the lag grows."""
    positions = [done for done, pause in enumerate(pauses) for _ in range(pause + 1)]
    assert not any(verdicts([look(beat, done=done, end=10**7 + beat) for beat, done in enumerate(positions)]))


def test_one_topic_that_moves_speaks_for_its_owner() -> None:
    """Marketing waits for as long as transactional mail keeps its gate busy: that is no stall."""
    watch = Watch()
    for beat in range(100):
        reaches = (Reach(topic="marketing", done=0, end=50), Reach(topic="transactional", done=beat, end=10_000))
        progress = Progress(partition=0, reaches=reaches, patience_s=PATIENCE_S)
        assert watch.observe(Look(beat=beat, progress=(progress,)), 1.0) is None


def test_a_hold_stops_the_clock_and_forgets_nothing() -> None:
    """Views that are not current: nothing has to move; the seconds before count on afterwards."""
    looks = [look(beat, done=5, end=9) for beat in range(6)]
    looks += [look(6 + beat, done=5, end=9, held="views are not current") for beat in range(100)]
    looks += [look(106 + beat, done=5, end=9) for beat in range(6)]
    found = verdicts(looks)
    assert found.index(True) == 110


def test_while_the_cluster_does_not_answer_there_is_no_verdict() -> None:
    """Asked half way and at the end; where it does not answer, all have their patience anew, however long it takes."""
    watch, asked, away = Watch(), list[int](), True

    def answers(one: Progress) -> bool:
        asked.append(one.partition)
        return not away

    def seen(beat: int) -> Look:
        reaches = (Reach(topic="t", done=5, end=9),)
        return Look(
            beat=beat,
            progress=tuple(Progress(partition=n, reaches=reaches, patience_s=PATIENCE_S) for n in range(3)),
        )

    assert not any(watch.observe(seen(beat), 1.0, answers=answers) for beat in range(100))
    assert asked == [0] * 19  # each half patience of 5 s, and not for each owner
    asked.clear()
    away = False
    looks = next(n for n in range(100) if watch.observe(seen(100 + n), 1.0, answers=answers) is not None)
    assert PATIENCE_S / 2 <= looks <= PATIENCE_S
    assert asked == [0, 1, 2, 0]  # half way each, then the first that is over


def test_a_loop_that_does_not_run_is_a_stall_of_its_own() -> None:
    """The same beat again and again; one beat in between, and the count begins anew."""
    watch = Watch(loop_patience_s=PATIENCE_S)
    assert [watch.observe(look(1, done=0, end=0), 1.0) for _ in range(10)] == [None] * 10
    assert watch.observe(look(2, done=0, end=0), 1.0) is None
    found = [watch.observe(look(2, done=0, end=0), 1.0) for _ in range(10)]
    assert found[8] is None and found[9] is not None and found[9].progress is None


def test_a_stopped_process_is_not_its_own_victim() -> None:
    """SIGSTOP for an hour, then SIGCONT: what the watchdog did not see itself does not count."""
    watch = Watch(loop_patience_s=PATIENCE_S)
    assert watch.observe(look(1, done=0, end=9), 1.0) is None
    assert watch.observe(look(1, done=0, end=9), 3_600.0) is None
    assert watch.observe(look(2, done=0, end=9), 1.0) is None
    assert LONGEST_LOOK_S < PATIENCE_S


@pytest.mark.integration
def test_workers_that_stand_still_end_and_an_idle_one_does_not(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """One decides nothing, another's loop is blocked: each ends with 70 and says what stands; an idle one lives on."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, gate_partitions=1)
    settings = settings.model_copy(update={"worker": WorkerSettings(stalled_s=4.0)})
    with Crew(settings) as crew:
        crew.start("gate-0")
        publish(crew, b"{}")
        until(lambda: len(crew.outputs()) == 1, "one event decided")
        (tmp_path / "hold-gate-0").touch()
        publish(crew, b"{}")
        assert crew.children["gate-0"].wait(60) == STALLED_EXIT
        log = crew.log_file("gate-0").read_text()
        line = next(line for line in log.splitlines() if "partition stands still" in line)
        for told in (
            "topic=recipients.marketing",
            "partition=0",
            "position=1",
            "lag=1",
            "exit=70",
        ):
            assert told in line
        (tmp_path / "hold-gate-0").unlink()
        crew.start("gate-0")
        with pytest.raises(TimeoutError):
            crew.children["gate-0"].wait(8)
        assert len(crew.outputs()) == 2
        publish(crew, b"block")
        assert crew.children["gate-0"].wait(60) == STALLED_EXIT
        log = crew.log_file("gate-0").read_text()
        assert "event loop stands still" in log
        assert 'lifecycle_worker.py", line' in log.rpartition("event loop stands still")[2]


def publish(crew: Crew, value: bytes) -> None:
    """One event."""
    with Publisher(crew.settings) as publisher:
        publisher.send(topics.RECIPIENTS_MARKETING, "acme:u1", value)
