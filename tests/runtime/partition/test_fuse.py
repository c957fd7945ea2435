"""The fuse: what a few bad events may do, and what a bad deploy may not."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.errors import FuseBlownError, TransactionAbortedError
from streams.runtime.partition.fuse import LATEST, MINIMUM, Fuse
from streams.runtime.partition.fuse_file import KEPT_S, fuse_kept_in

SHARE = 0.2


def test_the_first_failure_of_a_quiet_day_blows_nothing() -> None:
    """One of one is no share."""
    fuse = Fuse(SHARE)
    fuse.admit(events=1, failed=1)
    assert fuse.share == 1 / MINIMUM


def test_a_worker_for_which_all_fails_stops_within_a_few_events() -> None:
    """Ten of the first fifty are allowed, the eleventh is not, and says what to do."""
    fuse = Fuse(SHARE)
    for _ in range(10):
        fuse.admit(events=1, failed=1)
    with pytest.raises(FuseBlownError, match=r"11 of the latest 11 .* EVENPOST_WORKER__FUSE_SHARE=1"):
        fuse.admit(events=1, failed=1)
    fuse.admit(events=1, failed=0)  # what blows is not counted, and what is good goes through


def test_a_batch_in_which_all_fails_is_not_committed() -> None:
    """A full batch of a bad deploy turns into no letter at all."""
    with pytest.raises(FuseBlownError):
        Fuse(SHARE).admit(events=500, failed=500)


def test_one_tenants_events_that_trip_a_defect_are_few_among_all() -> None:
    """15 in a row among 500 blow nothing, though they would be most of the first 50."""
    fuse = Fuse(SHARE)
    fuse.admit(events=500, failed=15)
    assert fuse.share == pytest.approx(0.03)


def test_a_share_of_one_lets_everything_through() -> None:
    """What the operator asks for."""
    fuse = Fuse(1.0)
    for _ in range(20):
        fuse.admit(events=500, failed=500)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=16))
def test_letters_are_never_more_than_the_share_of_what_was_admitted(batches: list[tuple[int, int]]) -> None:
    """Counted aside, within one window of events: whatever comes in whatever batches."""
    fuse = Fuse(SHARE)
    admitted = letters = 0
    for events, bad in batches:
        with contextlib.suppress(FuseBlownError):
            fuse.admit(events=events, failed=min(events, bad))
            admitted, letters = admitted + events, letters + min(events, bad)
    assert admitted < LATEST
    assert letters <= SHARE * max(admitted, MINIMUM)
    assert fuse.share == pytest.approx(letters / max(admitted, MINIMUM))


def test_a_batch_that_does_not_happen_is_not_counted_however_often_it_is_tried() -> None:
    """Aborts are the broker's: one bad event that is decided again with each stops no healthy worker."""
    fuse = Fuse(SHARE)
    for _ in range(100):
        with pytest.raises(TransactionAbortedError), fuse.weighed(events=1, failed=1):
            raise TransactionAbortedError("gate-0", "the broker is away")
    assert fuse.share == 0
    with fuse.weighed(events=1, failed=1):
        pass
    assert fuse.share == 1 / MINIMUM


def test_what_other_partitions_are_committing_is_weighed_as_well() -> None:
    """Else each of them could turn ten events of a bad deploy into letters at once."""
    fuse = Fuse(SHARE)
    with fuse.weighed(events=10, failed=10):
        with pytest.raises(FuseBlownError), fuse.weighed(events=1, failed=1):
            pass
        assert fuse.share == 0
    assert fuse.share == 10 / MINIMUM


def letters_of_one_start(path: Path) -> int:
    """A worker for which all fails is started, and ends by its fuse: how many letters it leaves."""
    fuse = fuse_kept_in(path, SHARE)
    for letters in range(10 * MINIMUM):
        try:
            fuse.admit(events=1, failed=1)
        except FuseBlownError:
            return letters
    raise AssertionError("it was never blown")


def test_a_worker_that_is_started_again_and_again_makes_ten_letters_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a minute for three hours, as a supervisor would: a bad deploy does not empty the topic by tens."""
    clock = [time.time()]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    path = tmp_path / "state" / "gate-0" / "fuse.json"
    letters = []
    for _ in range(180):
        letters.append(letters_of_one_start(path))
        clock[0] += 60.0
    assert (sum(letters), letters[:3], KEPT_S) == (30, [10, 0, 0], 3_600.0)


def test_a_worker_that_is_killed_between_weighing_and_committing_counts_both_ways(tmp_path: Path) -> None:
    """The file is written first: what was about to become letters counts for the next start."""
    fuse = fuse_kept_in(tmp_path / "fuse.json", SHARE)
    with contextlib.suppress(KeyboardInterrupt), fuse.weighed(events=6, failed=6):
        raise KeyboardInterrupt
    with pytest.raises(FuseBlownError, match="11 of the latest 11"):
        fuse_kept_in(tmp_path / "fuse.json", SHARE).admit(events=5, failed=5)


def test_after_the_mended_deploy_all_goes_on(tmp_path: Path) -> None:
    """Good events outweigh what failed before them, and a few failures among them are a few again."""
    path = tmp_path / "fuse.json"
    letters_of_one_start(path)
    fuse = fuse_kept_in(path, SHARE)
    fuse.admit(events=200, failed=0)
    fuse.admit(events=1, failed=1)
    assert fuse.share == pytest.approx(11 / 211)


@pytest.mark.parametrize(
    "found", [b"", b"{}", b'{"at":1e999,"events":1,"failed":1}', b'{"at":0,"events":-1,"failed":9}']
)
def test_a_file_that_says_nothing_is_a_new_fuse(tmp_path: Path, found: bytes) -> None:
    """Half written, by another program, or from a clock that was wrong: the worker starts all the same."""
    path = tmp_path / "fuse.json"
    path.write_bytes(found)
    assert letters_of_one_start(path) == 10


def test_a_folder_that_can_not_be_written_stops_nothing(tmp_path: Path) -> None:
    """The fuse then protects one start at a time."""
    (tmp_path / "state").write_bytes(b"a file where the folder should be")
    assert letters_of_one_start(tmp_path / "state" / "fuse.json") == 10
