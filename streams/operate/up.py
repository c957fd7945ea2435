"""All of Evenpost on one machine, as processes: what `evenpost up`, the demo and the tests of the whole run.

1. The embedded Kafka, unless `kafka.bootstrap` names a cluster; then the declared topics.
2. Each member as a process of its own (children.py: it ends with this one, also by kill -9), with the settings passed
   by its environment and its words in `logs/<member>.log`.
3. A thread watches: what ends unasked is named, its last lines are shown, and it is started again, later each time.
4. A member is ready when `run/<member>.json` holds its pid.  One that left its group for good (scale-in) stays ended.
5. `run/prometheus.json` names where each answers for its metrics (Prometheus' `file_sd_configs`).
6. The end goes against the stream of messages: gate, sender, feedback, control, warehouse, and the broker last.
"""

import fcntl
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from streams.operate.errors import FleetError, UnknownThingError
from streams.operate.members import write_targets
from streams.operate.settings_tree import environment
from streams.runtime.children import Child, spawn
from streams.runtime.cluster import check_reachable, with_bootstrap
from streams.runtime.embedded import EmbeddedError, EmbeddedKafka
from streams.runtime.life.run_files import Running, has_left, running
from streams.runtime.life.stopping import exit_words
from streams.runtime.settings import Settings
from streams.runtime.topic_admin import apply_topics

__all__ = ["KAFKA", "ROLES", "WORKER", "Fleet", "MemberStatus"]

# In the order of the end: who makes work stops first, who records it last.
ROLES: Final = ("gate", "sender", "feedback", "control", "warehouse")
KAFKA: Final = "kafka"
# -P: a folder `agents` in the user's directory must not be taken for ours.
WORKER: Final = (sys.executable, "-P", "-m", "agents")
# Seconds from SIGTERM to SIGKILL: a worker gives itself 20 to finish what is past MAIL FROM.
GRACE_S: Final = 25.0
# Seconds until a member that ended unasked is started again: doubled each time, forgotten after a quiet minute.
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
QUIET_S: Final = 60.0
# Seconds between two looks at the members.
WATCH_S: Final = 0.2
TAIL_LINES: Final = 8
_TAIL_BYTES: Final = 16_384
# A log that grew beyond this is put aside when its member starts.
LOG_BYTES: Final = 64 * 1024 * 1024

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class MemberStatus:
    """What one process does now: starting, ready, waiting (to be started again), left (its group) or stopped."""

    member: str
    role: str
    pid: int | None
    state: str
    restarts: int


class _Member:
    """One worker process and its history."""

    def __init__(self, name: str, role: str) -> None:
        self.name = name
        self.role = role
        self.child: Child | None = None
        self.left = False  # it was told to leave its group: it is not started again unasked
        self.held = False  # somebody is stopping or restarting it: the watcher keeps off
        self.restarts = 0
        self.started_at = 0.0
        self.pause_s = FIRST_PAUSE_S
        self.due = 0.0

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child is not None and self.child.alive else None


class Fleet:
    """The broker and the workers of one data directory; a context manager that starts and stops them.

    Args:
        settings: as loaded; `kafka.bootstrap` unset starts the embedded broker.
        roles: how many members of each role; one of each by default.
        say: told one line of each thing that happens.
        program: what runs a role, for `… ROLE --member NAME`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        roles: Mapping[str, int] | None = None,
        say: Say = lambda _: None,
        program: Sequence[str] = WORKER,
    ) -> None:
        wanted = dict.fromkeys(ROLES, 1) if roles is None else roles
        unknown = set(wanted) - set(ROLES)
        if unknown:
            raise UnknownThingError(f"no role {', '.join(sorted(unknown))}: there are {', '.join(ROLES)}")
        self.settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
        self._say = say
        self._program = tuple(program)
        self._members = {
            f"{role}-{number}": _Member(f"{role}-{number}", role)
            for role in ROLES
            for number in range(wanted.get(role, 0))
        }
        self._broker: EmbeddedKafka | None = None
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._watcher: threading.Thread | None = None
        self._data_lock: IO[str] | None = None
        self._targets: list[Running] | None = None

    @property
    def bootstrap(self) -> str | None:
        """The broker's address, once started."""
        return self.settings.kafka.bootstrap

    @property
    def pids(self) -> dict[str, int]:
        """The pid of each process that lives, by member; the embedded broker is `kafka`."""
        pids = {member.name: member.pid for member in self._members.values()}
        if self._broker is not None:
            pids[KAFKA] = self._broker.pid
        return {name: pid for name, pid in pids.items() if pid is not None}

    @property
    def ready(self) -> bool:
        """Whether each member said so that has not left."""
        return all(member.left or self._is_ready(member) for member in self._members.values())

    def status(self) -> list[MemberStatus]:
        """Each process, in the order of the end."""
        found = [
            MemberStatus(
                member=member.name,
                role=member.role,
                pid=member.pid,
                state=self._state(member),
                restarts=member.restarts,
            )
            for member in self._members.values()
        ]
        if self._broker is not None:
            pid = self._broker.pid
            state = "ready" if pid is not None else "starting"
            found.append(MemberStatus(member=KAFKA, role=KAFKA, pid=pid, state=state, restarts=0))
        return found

    def start(self) -> None:
        """Start all.  Raises FleetError, RuntimeFault or EmbeddedError, with nothing left running."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        data_dir = self.settings.data_dir
        try:
            for name in ("run", "logs"):
                (data_dir / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FleetError(f"data_dir = {data_dir}: {error.strerror}; choose another EVENPOST_DATA_DIR") from error
        self._take_data_dir()
        if self.settings.kafka.bootstrap is None:
            self._say("starting Kafka")
            broker = EmbeddedKafka(data_dir, progress=self._fetched)
            self.settings = with_bootstrap(self.settings, broker.start())
            self._broker = broker
        check_reachable(self.settings)
        made = sum(topic.created for topic in apply_topics(self.settings))
        self._say(f"Kafka on {self.bootstrap}" + (f", {made} topics created" if made else ""))
        with self._lock:
            for member in reversed(self._members.values()):
                self._spawn(member)
        self._watcher = threading.Thread(target=self._watch, name="fleet", daemon=True)
        self._watcher.start()

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until each member is ready.  Raises FleetError that names those who aren't, with their last lines."""
        deadline = time.monotonic() + timeout_s
        while not self.ready:
            if time.monotonic() > deadline:
                late = [member for member in self._members.values() if not self._is_ready(member)]
                tails = "".join(f"\n--- the end of {self.log_file(m.name)} ---\n{self.log_tail(m.name)}" for m in late)
                names = ", ".join(member.name for member in late)
                raise FleetError(f"not ready after {timeout_s:.0f} s: {names}{tails}")
            time.sleep(WATCH_S / 2)

    def stop(self) -> None:
        """End all in order; each has GRACE_S to finish what it has begun."""
        self._ending.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        for role in ROLES:
            children = [member.child for member in self._members.values() if member.role == role and member.child]
            for child in children:
                child.begin_stop(GRACE_S)
            for child in children:
                child.stop(GRACE_S)
            if children:
                self._say(f"{role} stopped")
        if self._targets is not None:
            self._tell_prometheus()
        if self._broker is not None:
            self._broker.stop()
            self._broker = None
            self._say("Kafka stopped")
        if self._data_lock is not None:
            self._data_lock.close()
            self._data_lock = None

    def restart(self, name: str) -> None:
        """SIGTERM, wait for the end, start again; `kafka` keeps its port.  Raises UnknownThingError."""
        if name == KAFKA and self._broker is not None:
            with self._lock:
                self._broker.stop()
                self._start_broker_again()
            return
        member = self._member(name)
        member.held = True
        try:
            if member.child is not None:
                member.child.stop(GRACE_S)
            with self._lock:
                self._spawn(member)
        finally:
            member.held = False

    def kill(self, name: str) -> None:
        """SIGKILL by its pid, as a crash would; the watcher starts it again.  Raises UnknownThingError."""
        if name == KAFKA and self._broker is not None:
            self._broker.kill()
            return
        child = self._member(name).child
        if child is not None:
            child.signal(signal.SIGKILL)

    def log_file(self, name: str) -> Path:
        """Where a member's words go."""
        return self.settings.data_dir / "logs" / f"{name}.log"

    def log_tail(self, name: str, lines: int = TAIL_LINES) -> str:
        """A member's last words."""
        try:
            with self.log_file(name).open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
                return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return "(nothing was logged)"

    def _spawn(self, member: _Member) -> None:
        log = self.log_file(member.name)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.before"))
        member.left = False
        member.child = spawn(
            [*self._program, member.role, "--member", member.name],
            log_file=log,
            env=environment(self._settings_of(member)),
            name=member.name,
            grace_s=GRACE_S,
        )
        member.started_at = time.monotonic()

    def _settings_of(self, member: _Member) -> Settings:
        """A fixed port of health is the first of as many as there are members, in the order of the end."""
        worker = self.settings.worker
        if worker.http_port == 0:
            return self.settings
        port = worker.http_port + list(self._members).index(member.name)
        return self.settings.model_copy(update={"worker": worker.model_copy(update={"http_port": port})})

    def _tell_prometheus(self) -> None:
        found = [one for one in running(self.settings) if one.member in self._members]
        if found != self._targets:
            self._targets = found
            with suppress(OSError):  # a full disk must not end the watch
                write_targets(self.settings.data_dir / "run" / "prometheus.json", found)

    def _watch(self) -> None:
        while not self._ending.wait(WATCH_S):
            self._tell_prometheus()
            with self._lock:
                for member in self._members.values():
                    if not member.held:
                        self._look_after(member)
                if self._broker is not None and self._broker.pid is None:
                    self._say("kafka ended; starting it again")
                    try:
                        self._start_broker_again()
                    except EmbeddedError as error:
                        self._say(str(error))

    def _look_after(self, member: _Member) -> None:
        now = time.monotonic()
        if member.child is not None:
            code = member.child.returncode
            if code is None:
                return
            pid, member.child = member.child.pid, None
            if code == 0 and has_left(self.settings, member.name, pid):
                member.left, member.due = True, math.inf
                self._say(f"{member.name} left its group, as it was told to; it stays ended")
                return
            if now - member.started_at > QUIET_S:
                member.pause_s = FIRST_PAUSE_S
            member.due = now + member.pause_s
            if code == 0:
                self._say(f"{member.name} ended, as it was told to; starting it again in {member.pause_s:.1f} s")
                return
            self._say(
                f"{member.name} ended with {exit_words(code)}; starting it again in {member.pause_s:.1f} s. "
                f"The end of {self.log_file(member.name)}:\n{self.log_tail(member.name)}"
            )
            member.pause_s = min(member.pause_s * 2, LONGEST_PAUSE_S)
        elif now >= member.due:
            member.restarts += 1
            try:
                self._spawn(member)
            except OSError as error:
                member.due = now + LONGEST_PAUSE_S
                self._say(f"{member.name} can't be started ({error}); trying again in {LONGEST_PAUSE_S:.0f} s")

    def _start_broker_again(self) -> None:
        """On the same port: the workers know no other."""
        port = int(str(self.bootstrap).rpartition(":")[2])
        broker = EmbeddedKafka(self.settings.data_dir, port=port)
        broker.start()
        self._broker = broker

    def _take_data_dir(self) -> None:
        """Two fleets on one data directory would fight over its files (flock(2); the kernel lets go at our end)."""
        self._data_lock = (self.settings.data_dir / "run" / "up.lock").open("w")
        try:
            fcntl.flock(self._data_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetError(
                f"another `evenpost up` runs on data_dir = {self.settings.data_dir}; "
                "stop it, or choose another EVENPOST_DATA_DIR"
            ) from None

    def _fetched(self, done: int, of: int, name: str) -> None:
        self._say(f"fetched {name} ({done} of {of})")

    def _is_ready(self, member: _Member) -> bool:
        pid = member.pid
        if pid is None:
            return False
        try:
            told = json.loads((self.settings.data_dir / "run" / f"{member.name}.json").read_bytes())
        except (OSError, ValueError):
            return False
        return bool(told.get("ready")) and told.get("pid") == pid

    def _state(self, member: _Member) -> str:
        if member.pid is None:
            return "stopped" if self._ending.is_set() else "left" if member.left else "waiting"
        return "ready" if self._is_ready(member) else "starting"

    def _member(self, name: str) -> _Member:
        try:
            return self._members[name]
        except KeyError:
            raise UnknownThingError(f"no member {name!r}: there are {', '.join(self._members)}") from None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
