"""Processes that end with their parent, also when the parent is killed with SIGKILL.

`spawn` starts a program under a supervisor (supervisor.py) that holds one end of a pipe; the other end is in this
process alone. Whatever ends this process closes the pipe: the supervisor then stops the program, gracefully first, and
kills everything the program started. A killed supervisor takes the program along through PR_SET_PDEATHSIG.

The program leads a session of its own: a Ctrl-C in the terminal reaches only the parent, which stops its children in
the order that suits it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

__all__ = ["Child", "is_running", "spawn"]

SUPERVISOR = Path(__file__).with_name("supervisor.py")
# Seconds between SIGTERM and SIGKILL unless told otherwise: a role drains its SMTP transactions and commits.
DEFAULT_GRACE_S = 10.0
# Seconds beyond the grace until the supervisor itself is given up: it reaps descendants for at most 2 s.
SUPERVISOR_SLACK_S = 5.0


class Child:
    """A running program; `pid` is the program's own, not its supervisor's."""

    def __init__(self, supervisor: subprocess.Popen[bytes], *, pid: int, control: int, name: str) -> None:
        self.pid = pid
        self.name = name
        self._supervisor = supervisor
        self._control: int | None = control

    @property
    def alive(self) -> bool:
        """Whether the program, or its orderly end, is still under way."""
        return self.returncode is None

    @property
    def returncode(self) -> int | None:
        """None while alive, the exit code, or minus the signal that ended it."""
        code = self._supervisor.poll()
        if code is None:
            return None
        self._close_control()
        return 128 - code if code > 128 else code  # noqa: PLR2004 - the shell's 128 + signal, as the supervisor gives it

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the end; return as `returncode`.

        Raises:
            TimeoutError: still alive after `timeout_s` seconds.
        """
        try:
            self._supervisor.wait(timeout_s)
        except subprocess.TimeoutExpired as late:
            raise TimeoutError(f"{self.name} (pid {self.pid}) is still alive after {timeout_s} s") from late
        code = self.returncode
        assert code is not None  # noqa: S101 - just waited for
        return code

    def signal(self, sign: signal.Signals) -> None:
        """Send the program a signal, if it is alive."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sign)

    def stop(self, grace_s: float = DEFAULT_GRACE_S) -> int:
        """SIGTERM, after `grace_s` seconds SIGKILL to it and its descendants; return as `returncode`."""
        self.begin_stop(grace_s)
        return self._join(grace_s)

    def begin_stop(self, grace_s: float = DEFAULT_GRACE_S) -> None:
        """As `stop`, without waiting: to stop several at once, begin all, then `wait` for each."""
        self._tell(f"T {grace_s:.3f}\n")

    def kill(self) -> int:
        """SIGKILL to it and its descendants; return as `returncode`."""
        self._tell("K\n")
        return self._join(0.0)

    def _join(self, grace_s: float) -> int:
        try:
            return self.wait(grace_s + SUPERVISOR_SLACK_S)
        except TimeoutError:
            self._supervisor.kill()
            return self.wait(SUPERVISOR_SLACK_S)

    def _tell(self, word: str) -> None:
        if self._control is not None and self.alive:
            with suppress(BrokenPipeError):
                os.write(self._control, word.encode())

    def _close_control(self) -> None:
        if self._control is not None:
            os.close(self._control)
            self._control = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def spawn(
    argv: Sequence[str | Path],
    *,
    log_file: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    name: str | None = None,
    grace_s: float = DEFAULT_GRACE_S,
) -> Child:
    """Start a program that ends with this process.

    Args:
        argv: the program and its arguments; no shell.
        log_file: takes what it writes to stdout and stderr, appended; None hands on this process's own.
        env: its whole environment; None hands on this process's.
        cwd: its working directory.
        name: what messages call it; the program's own name by default.
        grace_s: seconds from SIGTERM to SIGKILL when *this* process dies.
    """
    called = name or Path(argv[0]).name
    output = None if log_file is None else log_file.open("ab")  # before the pipes: it may fail
    control_end, control = os.pipe()
    told, tell_end = os.pipe()
    try:
        # -I -S: no user site, no PYTHON… variables, no site packages: up in 15 ms, 8 MB.
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", SUPERVISOR, str(control_end), str(tell_end), str(grace_s), "--", *argv],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(control_end, tell_end),
            start_new_session=True,
        )
    except BaseException:
        os.close(control)
        os.close(told)
        raise
    finally:
        os.close(control_end)
        os.close(tell_end)
        if output is not None:
            output.close()
    try:
        with os.fdopen(told, "rb") as answer:
            line = answer.read()
    except BaseException:  # a Ctrl-C: nobody would know of it, and stop it
        os.close(control)
        supervisor.kill()
        supervisor.wait()
        raise
    if not line:
        os.close(control)
        raise ChildProcessError(f"The supervisor of {called} ended with {supervisor.wait()} before it started it")
    return Child(supervisor, pid=int(line), control=control, name=called)


def is_running(pid: int, *, naming: str) -> bool:
    """Whether `pid` lives and its command line contains `naming`: a pid alone may be another program's by now."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and any(naming in part for part in process.cmdline())
    except psutil.Error:
        return False
