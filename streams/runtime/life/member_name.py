"""One process a member's name, on this machine and in the group.

1. On one data directory a name is a lock (flock(2); the kernel lets go at the process's end): a second process waits
   for a first that is ending, then is refused.  Both would write the same local state.
2. In the group, who joins under a name puts the former holder out (KIP-345).  That one ends with TAKEN_EXIT and leaves
   a mark; whoever supervises it starts it again, and it would put the other out in turn.  So where the mark is, a start
   first waits until the name is free in the group, and ends with TAKEN_EXIT again while it is not: no fight, and no
   human once the other has gone.
"""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from streams.runtime.errors import ClusterUnreachableError, MemberTakenError
from streams.runtime.life.waiting import LIMIT_S, Waiting
from streams.runtime.settings import Settings
from streams.runtime.transport.holder import holder

log = structlog.get_logger(__name__)

# A worker that was told to end gives itself 20 s, whoever supervises it 25 or 30.
HELD_S: Final = 30.0
# A name is gone from the group a session timeout after its last heartbeat; half as much again for the broker's clock.
FREE_AFTER_SESSIONS: Final = 1.5
_POLL_S: Final = 0.2
_ASK_S: Final = 1.0
_ASK_TIMEOUT_S: Final = 10.0


def default(role: str) -> str:
    """The name of a worker that was given none: the same at each start on one host, another on the next."""
    return f"{role}-{socket.gethostname()}"


@contextlib.contextmanager
def held(settings: Settings, member: str, *, limit_s: float = HELD_S) -> Iterator[None]:
    """Hold the name on this data directory.  Raises MemberTakenError where another process does not let go of it."""
    folder = settings.data_dir / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{member}.lock").open("a+") as lock:
        deadline, said = time.monotonic() + limit_s, False
        while not _locked(lock.fileno()):
            if time.monotonic() > deadline:
                lock.seek(0)
                raise MemberTakenError(member, f" (pid {lock.read() or 'unknown'}, data_dir = {settings.data_dir})")
            if not said:
                log.info("waiting for the former process of this name to end", member=member, limit_s=limit_s)
                said = True
            time.sleep(_POLL_S)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def was_taken(settings: Settings, member: str) -> None:
    """Leave the mark: another process took the name."""
    _mark(settings, member).touch()


def wait_until_free(settings: Settings, role: str, member: str, *, limit_s: float = LIMIT_S) -> None:
    """Where the mark is, wait until the group has nobody of this name, and for a broker that can say so.

    Raises MemberTakenError, or ClusterUnreachableError after as long as any start waits for the cluster.
    """
    mark = _mark(settings, member)
    if not mark.exists():
        return
    group, free_after_s = f"{settings.kafka.prefix}{role}", FREE_AFTER_SESSIONS * settings.kafka.session_timeout_s
    waiting, deadline = Waiting(limit_s), time.monotonic() + free_after_s
    while True:
        try:
            found = holder(settings.kafka, group, member, timeout_s=_ASK_TIMEOUT_S)
        except ClusterUnreachableError as error:
            if waiting.lost(error):
                raise
            deadline = time.monotonic() + free_after_s  # sessions run from when the broker is back
        else:
            if found is None:
                break
            if time.monotonic() > deadline:
                raise MemberTakenError(member, f" (on host {found.host})")
        time.sleep(_ASK_S)
    mark.unlink()


def _mark(settings: Settings, member: str) -> Path:
    return settings.data_dir / "run" / f"{member}.taken"
