"""Child processes end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from streams.runtime.children import is_running, spawn
from tests.support.left_over import left_by

# Seconds for the kernel and the supervisor to act on a loaded machine.
SOON_S = 10.0
STUBBORN = "trap '' TERM; (setsid sleep 300 & echo $! > grandchild); while :; do sleep 0.05; done"


def until(condition: Callable[[], bool], within_s: float = SOON_S) -> bool:
    """Poll until true; whether it came true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that nobody reaped has)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def grandchild(place: Path) -> int:
    """The pid that the stubborn program noted of its own child."""
    assert until(lambda: (place / "grandchild").exists() and (place / "grandchild").read_text().strip() != "")
    return int((place / "grandchild").read_text())


def test_stop_is_a_sigterm_when_the_program_heeds_it() -> None:
    """A program that ends on SIGTERM is reported as ended by it, without waiting for the grace."""
    child = spawn(["sleep", "300"])
    started = time.monotonic()
    assert child.alive and is_running(child.pid, naming="sleep")
    assert child.stop(grace_s=60) == -signal.SIGTERM
    assert time.monotonic() - started < SOON_S
    assert not child.alive and gone(child.pid)


def test_stop_kills_a_program_that_ignores_sigterm_and_its_descendants(tmp_path: Path) -> None:
    """After the grace SIGKILL ends the program, and a grandchild that made a session of its own."""
    child = spawn(["bash", "-c", STUBBORN], cwd=tmp_path)
    below = grandchild(tmp_path)
    assert child.stop(grace_s=0.2) == -signal.SIGKILL
    assert until(lambda: gone(below))


@pytest.mark.parametrize(("argv", "code"), [(["bash", "-c", "exit 3"], 3), (["no-such-program"], 127)])
def test_the_exit_code_is_the_programs(tmp_path: Path, argv: list[str], code: int) -> None:
    """Exit codes pass through; a program that does not exist ends with 127, as in a shell."""
    assert spawn(argv, log_file=tmp_path / "log").wait(SOON_S) == code


def test_output_goes_to_the_log_file_and_the_environment_is_the_one_given(tmp_path: Path) -> None:
    """Both streams are appended to the file; nothing of our environment leaks in."""
    log = tmp_path / "log"
    spawn(["/bin/sh", "-c", "echo $WORD; echo $HOME >&2"], env={"WORD": "ok"}, log_file=log).wait(SOON_S)
    assert log.read_text() == "ok\n\n"


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_children_end_with_a_parent_that_is_killed(tmp_path: Path, sign: signal.Signals) -> None:
    """SIGKILL to the parent leaves neither the child nor the grandchild behind."""
    script = f"""
        import time
        from streams.runtime.children import spawn
        child = spawn(["bash", "-c", {STUBBORN!r}], grace_s=0.3)
        print(child.pid, flush=True)
        time.sleep(300)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        below = grandchild(tmp_path)
        parent.send_signal(sign)
        parent.wait(SOON_S)
    assert until(lambda: gone(pid) and gone(below))


def test_a_killed_supervisor_takes_the_program_along() -> None:
    """PR_SET_PDEATHSIG: nothing runs on without its supervisor."""
    child = spawn(["sleep", "300"])
    os.kill(psutil.Process(child.pid).ppid(), signal.SIGKILL)
    assert until(lambda: gone(child.pid) and not child.alive)


def test_a_pid_of_another_program_is_not_taken_for_ours() -> None:
    """`is_running` compares the command line: pids are reused."""
    assert not is_running(os.getpid(), naming="no-such-word-in-any-command-line")


def test_a_log_that_can_not_be_written_leaves_nothing_open(tmp_path: Path) -> None:
    """The error is the system's own, and no pipe stays behind."""
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            spawn([sys.executable, "-c", ""], log_file=tmp_path / "missing" / "log")
    assert process.num_fds() == before


def test_an_interrupt_before_it_is_known_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the start and the answer: who is interrupted can't stop what it was never given."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with monkeypatch.context() as broken:
        broken.setattr("streams.runtime.children.os.fdopen", interrupted)
        with pytest.raises(KeyboardInterrupt):
            spawn([sys.executable, "-c", "import time; time.sleep(60)"])
    deadline = time.monotonic() + 2.0  # the kernel kills the program with its supervisor, a moment later
    while (left := left_by(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []
