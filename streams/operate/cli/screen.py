"""What `evenpost up` shows while everything runs on this machine.

A terminal gets a picture of the members below the lines of what happened; anything else gets the lines alone.
"""

import os
import signal
import threading
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from streams.operate.cli.terminal import settings
from streams.operate.errors import UsageFault
from streams.operate.settings_files import check
from streams.operate.up import ROLES, Fleet
from streams.runtime.cluster import sql_endpoint
from streams.runtime.errors import NoWarehouseError

# Seconds between two looks at the state of things.
_LOOK_S: Final = 0.5
_COLOURS: Final = {"ready": "green", "starting": "yellow", "waiting": "red"}


def run_fleet(*, gates: int, senders: int, ready_file: Path | None) -> None:
    """Start the fleet, show it, end it in order on SIGTERM or SIGINT."""
    if ready_file is not None:
        if not ready_file.absolute().parent.is_dir():
            raise UsageFault(f"--ready-file {ready_file}: no such directory")
        ready_file.unlink(missing_ok=True)
    ending = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        ending.set()

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, end)
    screen = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)

    def tell(words: str) -> None:
        screen.print(escape(f"{datetime.now().astimezone():%H:%M:%S} {words}"))

    roles = dict.fromkeys(ROLES, 1) | {"gate": gates, "sender": senders}
    now = settings()
    check(now, roles)
    with Fleet(now, roles=roles, say=tell) as fleet:
        told = False
        live = Live(console=screen, auto_refresh=False, transient=True) if screen.is_terminal else None
        with live or nullcontext():
            while not ending.wait(_LOOK_S):
                if live is not None:
                    live.update(_picture(fleet), refresh=True)
                if fleet.ready and not told:
                    told = True
                    tell(f"ready: Kafka {fleet.bootstrap}, SQL {_sql(fleet) or '-'}")
                    if ready_file is not None:
                        _write_ready(ready_file, fleet)
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
        tell("stopping; what is past MAIL FROM is finished first")


def _picture(fleet: Fleet) -> Table:
    ports = {"kafka": str(fleet.bootstrap), "warehouse": _sql(fleet) or ""}
    table = Table(box=None, pad_edge=False)
    for name in ("member", "pid", "state", "restarts", "at"):
        table.add_column(name)
    for one in fleet.status():
        state = f"[{_COLOURS.get(one.state, 'white')}]{one.state}[/]"
        table.add_row(one.member, str(one.pid or "-"), state, str(one.restarts), ports.get(one.role, ""))
    return table


def _sql(fleet: Fleet) -> str | None:
    """Where SQL is answered, without a password."""
    try:
        parts = urlsplit(sql_endpoint(fleet.settings))
    except NoWarehouseError:
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _write_ready(path: Path, fleet: Fleet) -> None:
    """Whole or not at all: who waits for the file reads it the moment it is there."""
    told = {"bootstrap": fleet.bootstrap, "sql_port": urlsplit(_sql(fleet) or "").port, "pids": fleet.pids}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(told) + b"\n")
    draft.replace(path)
