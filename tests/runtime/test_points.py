"""The points at which a process kills itself: who names one, when it is due, and that it dies in the middle of work."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams.runtime.points import KILL_ENV, Points


def test_production_has_no_points() -> None:
    """Unset or empty, there is nothing to ask."""
    assert Points.from_environment({}) is None
    assert Points.from_environment({KILL_ENV: ""}) is None


@pytest.mark.parametrize(("text", "times"), [("after-dot", 1), ("after-dot:1", 1), ("after-dot:3", 3)])
def test_a_point_is_due_once_at_the_time_that_is_named(text: str, times: int) -> None:
    """Other points do not count, and it is due no second time."""
    points = Points.from_environment({KILL_ENV: text})
    assert points is not None
    due = [points.is_due(point) for _ in range(5) for point in ("after-mail", "after-dot")]
    assert due == [number == 2 * times - 1 for number in range(10)]


@pytest.mark.parametrize(
    "text", ["after_dot", "after-dot:0", "after-dot:-1", "after-dot:x", ":3", "3", "after-dot:1:2"]
)
def test_what_names_no_point_is_refused(text: str) -> None:
    """With the text, and all names that would do: a typo must not make a chaos run that kills nobody."""
    with pytest.raises(ValueError, match="names no point to die at") as caught:
        Points.from_environment({KILL_ENV: text})
    assert repr(text) in str(caught.value) and "mid-insert" in str(caught.value)


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own."""
    setup = (
        "import sys, time\nfrom streams.runtime import logs\nfrom streams.runtime.points import Points\n"
        "logs.configure('WARNING')\n"
    )
    command = [sys.executable, "-c", setup + program]
    return subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)


def test_a_strike_is_a_sigkill_and_says_so() -> None:
    """No handler runs; the log says which point it was, and of which send."""
    ended = run(
        "try:\n    Points('after-250').reach('after-250', send_id='5e')\nfinally:\n    print('end', flush=True)"
    )
    assert (ended.returncode, ended.stdout) == (-9, "")
    assert "point=after-250 send_id=5e" in ended.stderr


def test_work_is_struck_in_its_middle() -> None:
    """After half of what the last one took; what is over sooner lets the next one be due."""
    program = """
points = Points("mid-insert", nth=2)
for seconds in (0.4, 0.05, 0.6):
    points.amid("mid-insert", lambda: time.sleep(seconds))
    print(seconds, flush=True)
"""
    ended = run(program)
    assert ended.returncode == -9
    assert [line for line in ended.stdout.split("\n") if line.startswith("0.")] == ["0.4", "0.05"]
