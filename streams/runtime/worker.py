"""Run a role's process: signals, readiness, an orderly end.

`serve` starts a Faust app and its ownership and ends when told to (SIGTERM, SIGINT), when an owner failed, or when
Faust crashed; the last two end the process with 1, and whoever supervises it starts it anew.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NoReturn

import structlog
import uvloop

from streams.runtime.app import EvenpostApp
from streams.runtime.ownership import Ownership
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)

# An orderly end finishes what is past MAIL FROM; then it has to be over well within the session timeout.
STOP_LIMIT_S: Final = 20.0
READY_POLL_S: Final = 0.1


class Readiness:
    """`data_dir/run/<member>.json`: there while the worker is ready, gone when it stops."""

    def __init__(self, settings: Settings, *, role: str, member: str) -> None:
        self._path = settings.data_dir / "run" / f"{member}.json"
        self._role = role
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.withdraw()

    def announce(self) -> None:
        """Say that this process is ready."""
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"pid": os.getpid(), "role": self._role, "ready": True}), encoding="utf-8")
        fresh.replace(self._path)

    def withdraw(self) -> None:
        """Take it back."""
        self._path.unlink(missing_ok=True)


def stop_event() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, event.set)
    return event


async def serve(app: EvenpostApp, ownership: Ownership, readiness: Readiness, *, is_ready: Callable[[], bool]) -> int:
    """Run until told to stop; returns the process's exit code."""
    stop = stop_event()
    failed = ownership.failed = asyncio.get_running_loop().create_future()
    await app.start()
    waits = {
        asyncio.create_task(stop.wait(), name="stop"),
        asyncio.create_task(app.wait_until_stopped(), name="faust"),
        asyncio.ensure_future(failed),
    }
    announcing = asyncio.create_task(_announce(readiness, is_ready))
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    announcing.cancel()
    log.info("stopping")
    readiness.withdraw()
    orderly = stop.is_set()
    if not orderly:
        reason = failed.exception() if failed.done() else app.crash_reason
        log.error("worker fails", error=repr(reason), exc_info=reason)  # Faust crashes without a word
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            if orderly:
                app.consumer.stop_flow()
                app.flow_control.suspend()
                await ownership.release()
            with contextlib.suppress(Exception):
                await app.stop()
    except TimeoutError:
        log.error("worker did not stop in time", limit_s=STOP_LIMIT_S)  # noqa: TRY400  # no bug: a limit
        return 1
    log.info("stopped")
    return 0 if orderly else 1


def run(main: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run a role's coroutine on uvloop and end the process with its result.

    Ends by `os._exit`: by then all that matters is committed and closed, and some of Faust's tasks swallow the
    cancellation that an orderly end of the loop would wait for without bound.
    """

    async def within_loop() -> int:
        return await main()  # Faust binds what it makes to the loop that runs then

    code = 1
    try:
        code = uvloop.new_event_loop().run_until_complete(within_loop())
    except Exception:
        log.exception("worker failed")
    sys.stderr.flush()
    os._exit(code)


async def _announce(readiness: Readiness, is_ready: Callable[[], bool]) -> None:
    while not is_ready():  # noqa: ASYNC110  # what makes it ready happens in threads and foreign services
        await asyncio.sleep(READY_POLL_S)
    readiness.announce()
    log.info("ready")


def state_path(settings: Settings, member: str, name: str) -> Path:
    """Where a member keeps the local copy of a table."""
    return settings.data_dir / "state" / member / name
