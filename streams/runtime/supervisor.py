"""The small process between a parent and its child: see children.py. Run as a script, stdlib only, no site packages.

`supervisor.py CONTROL STATUS GRACE -- PROGRAM ARG…`; CONTROL and STATUS are inherited pipe ends.

1. Become a child subreaper (prctl(2)), so that orphans among the descendants come to us and not to init.
2. Start the program; the kernel kills it (PR_SET_PDEATHSIG) should this process be killed itself. That signal is tied
   to the *thread* that forked: this process has one thread, the parent may have many, which is why it is here.
3. Tell its pid on STATUS, an end that the exec closes: then the parent knows that it is the program by now. Wait for
   its end or for a word on CONTROL: `T <seconds>` = SIGTERM, then SIGKILL after the grace; `K` = SIGKILL at once; end
   of file = the parent is gone, however it died = T with the default grace.
4. When the program has ended, kill what is left of its descendants and end with its exit code (128 + signal if killed).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
# Seconds between two looks at the descendants that are left after a kill: they die within milliseconds.
REAP_POLL_S = 0.01
# How often that is looked at: a process in uninterruptible sleep must not keep us for ever.
REAP_ROUNDS = 200


def _prctl(option: int, value: int | bytes) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _descendants(of: int) -> list[int]:
    """Pids below `of`, by /proc; races are harmless, the caller looks again."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    todo = [of]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def _send(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


def _kill_descendants() -> None:
    for _ in range(REAP_ROUNDS):
        left = _descendants(os.getpid())
        for pid in left:
            _send(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if not left:
            return
        time.sleep(REAP_POLL_S)


def _start(argv: list[str], *, keep_out: tuple[int, ...]) -> int:
    """Fork and exec; a program that can't be started ends with 127, as in a shell."""
    myself = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != myself:
            os._exit(128 + signal.SIGKILL)
        for descriptor in keep_out:
            os.close(descriptor)
        signal.set_wakeup_fd(-1)
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(sign, signal.SIG_DFL)
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as failed:
        os.write(2, f"{argv[0]}: {failed.strerror}\n".encode())
    finally:
        os._exit(127)


def _watch(pid: int, *, control: int, wake: int, grace_s: float) -> int:
    """Wait for the program's end; return its wait status."""
    deadline: float | None = None
    listening = [control, wake]
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = select.select(listening, [], [], left)[0]
        if wake in ready:
            os.read(wake, 4096)
        if control in ready:
            word = os.read(control, 64)
            if not word:
                listening.remove(control)
            if word.startswith(b"K"):
                grace = 0.0
            else:
                _send(pid, signal.SIGTERM)
                grace = float(word[1:].split()[0]) if word[1:].strip() else grace_s
            new = time.monotonic() + grace
            deadline = new if deadline is None else min(deadline, new)
        if deadline is not None and time.monotonic() >= deadline:
            _send(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]


def main() -> int:
    """Keep one program; return its exit code."""
    control, tell, grace_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    _prctl(PR_SET_NAME, b"evenpost-keep")
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, waker = os.pipe()
    for descriptor in (wake, waker, control, tell):
        os.set_inheritable(descriptor, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pid = _start(sys.argv[5:], keep_out=(control, wake, waker))
    # A signal meant for the program and sent to us (a service's stop, a terminal's hang-up) is handed on.
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, lambda number, _: _send(pid, signal.Signals(number)))
    os.write(tell, f"{pid}\n".encode())
    os.close(tell)
    status = _watch(pid, control=control, wake=wake, grace_s=grace_s)
    _kill_descendants()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
