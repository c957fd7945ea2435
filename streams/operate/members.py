"""The workers of this machine, from outside: who runs, how each is, and how to end one.

What is known of a worker comes from its files in `data_dir/run` (streams.runtime.life.run_files) and from what it
answers over HTTP (streams.runtime.life.health).  Both are of this data directory and this machine alone.
"""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streams.operate.errors import FleetError, UnknownThingError
from streams.runtime.children import is_running
from streams.runtime.life.run_files import Running, running
from streams.runtime.life.stopping import SCALE_IN_SIGNAL, How
from streams.runtime.settings import Settings

# A worker answers from a thread of its own, within milliseconds also where its event loop is blocked.
ANSWER_S: Final = 3.0
# A worker gives itself 20 s to end; with this it is ended for certain.
END_S: Final = 30.0
_POLL_S: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Member:
    """How one worker is; `state` is ready, or why it is not."""

    member: str
    role: str
    pid: int
    state: str
    partitions: tuple[int, ...]
    health: str


def look(settings: Settings) -> list[Member]:
    """Every worker of this data directory, by name."""
    return [_look(one) for one in running(settings)]


def _look(one: Running) -> Member:
    told = _readiness(one.health)
    failing = [f"{condition['name']}: {condition['detail']}" for condition in told["conditions"] if not condition["ok"]]
    held = [f"held: {told['held']}"] if told["held"] else []
    return Member(
        member=one.member,
        role=one.role,
        pid=one.pid,
        state="ready" if told["ready"] else "; ".join(failing + held) or "starting",
        partitions=tuple(told["partitions"]),
        health=one.health,
    )


def _readiness(health: str) -> Any:
    try:
        with urllib.request.urlopen(f"{health}/readyz", timeout=ANSWER_S) as answer:  # noqa: S310  # its own file names it
            return json.loads(answer.read())
    except urllib.error.HTTPError as not_ready:
        with not_ready:
            return json.loads(not_ready.read())
    except (OSError, ValueError) as error:
        words = f"no answer from {health}: {error}"
        conditions = [{"name": "health", "ok": False, "detail": words}]
        return {"ready": False, "conditions": conditions, "partitions": [], "held": None}


def stop(settings: Settings, member: str, *, how: How) -> int:
    """Ask a worker to end in that way, wait until it has; returns its pid.  Raises UnknownThingError, FleetError."""
    found = {one.member: one for one in running(settings)}
    if member not in found:
        raise UnknownThingError(f"no member {member!r} runs on data_dir = {settings.data_dir}: {_named(list(found))}")
    pid = found[member].pid
    if how == "restart" and settings.worker.sigterm != "restart":
        raise FleetError(
            "worker.sigterm is scale-in here: a restart can't be asked for; unset EVENPOST_WORKER__SIGTERM"
        )
    os.kill(pid, SCALE_IN_SIGNAL if how == "scale-in" else signal.SIGTERM)
    deadline = time.monotonic() + END_S
    while is_running(pid, naming=member):
        if time.monotonic() > deadline:
            raise FleetError(
                f"{member} (pid {pid}) has not ended within {END_S:.0f} s; see its log, or kill it: nothing is lost"
            )
        time.sleep(_POLL_S)
    return pid


def _named(names: Sequence[str]) -> str:
    return f"there are {', '.join(names)}" if names else "none does"


def write_targets(path: Path, members: Sequence[Running]) -> None:
    """Where Prometheus finds these workers: a file for its `file_sd_configs`, whole or not at all."""
    targets = [
        {"targets": [one.health.removeprefix("http://")], "labels": {"role": one.role, "member": one.member}}
        for one in members
    ]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(targets, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
