"""What must hold of any chaos run."""

from __future__ import annotations

from streams.operate.chaos import checks
from streams.operate.chaos.blows import Struck
from streams.operate.chaos.runtime.plan import Kind


def test_what_the_rounds_left_undone_is_found() -> None:
    """A round that could not be done, a worker that ended unasked, a process that is still there."""
    missed = Struck(number=3, kind=Kind.STOP_IN_COMMIT, member="chaos-1", at=1.0, until=2.0, missed="no commit")
    found = checks.of_run([missed], unasked=["chaos-0 ended unasked with 1"], left=1, started=9)
    assert [(one.value, one.ok) for one in found] == [(1, False)] * 3
    assert found[0].note == "round 3 stop-in-commit: no commit"
    assert all(one.ok for one in checks.of_run([], unasked=[], left=0, started=9))
