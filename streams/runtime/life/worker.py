"""Run a role's process: signals, readiness, an orderly end.

`serve` starts a Faust app and its ownership and ends when told to (stopping.py), when an owner failed, when another
process took this member's name, or when Faust crashed.  Whatever the reason, what the owners have begun is finished or
given back and offsets are committed, within a limit; then the process ends with 0 where it was told to, else with a
code that whoever supervises it starts it anew for.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, NoReturn, cast

import structlog
import uvloop

from streams.runtime.app import EvenpostApp
from streams.runtime.errors import ClusterUnreachableError, MemberTakenError, RuntimeFault, TopicMissingError
from streams.runtime.life.progress import progress
from streams.runtime.life.run_files import Readiness
from streams.runtime.life.stopping import TAKEN_EXIT, UNREACHABLE_EXIT, Stop
from streams.runtime.life.vigil import Vigil
from streams.runtime.life.vitals import Condition, Fresh, Vitals, views_condition
from streams.runtime.life.waiting import LIMIT_S
from streams.runtime.partition.ownership import Ownership
from streams.runtime.transport.consumer import EvenpostConsumer

__all__ = ["PATIENCE_S", "Readiness", "run", "serve"]

log = structlog.get_logger(__name__)

# A sender's slots finish what is past MAIL FROM within 12 s and cut the rest within 4.
RELEASE_LIMIT_S: Final = 17.0
# What Faust then stops holds nothing any more.  Together 20 s: whoever stops workers gives them 25 or 30.
APP_LIMIT_S: Final = 3.0
# An owner that works decides a batch in 0.5 s and commits it in at most 30 tries of a second while a broker restarts.
PATIENCE_S: Final = 60.0
# A group that gave this member nothing for so long (s) has more members than partitions: it stands by.
STANDS_BY_S: Final = 10.0


async def serve(
    app: EvenpostApp,
    ownership: Ownership,
    readiness: Readiness,
    *,
    views: Fresh | None = None,
    patience_s: float = PATIENCE_S,
) -> int:
    """Run until told to stop; returns the process's exit code.

    Args:
        app: the role's app.
        ownership: its owners.
        readiness: its files in `run`.
        views: what its owners rest on: while that is not fresh, nothing has to move.
        patience_s: how long an owner may stand still with something to do (`worker.stalled_s` wins).
    """
    stop = Stop(app.settings.worker.sigterm).listen()
    loop = asyncio.get_running_loop()
    failed = ownership.failed = loop.create_future()

    def taken() -> None:
        loop.call_soon_threadsafe(ownership.fail, MemberTakenError(app.member))

    app.on_member_taken = taken
    if views is not None:
        views.when_failed(lambda error: loop.call_soon_threadsafe(ownership.fail, error))
    vitals = _vitals(app, ownership, views, patience_s=app.settings.worker.stalled_s or patience_s)
    async with Vigil(app.settings, readiness, vitals) as vigil:
        asked = asyncio.create_task(stop.wait(), name="stop")
        starting = asyncio.create_task(app.start(), name="start")
        await asyncio.wait({asked, starting}, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():  # the broker is away: there is nothing to end in order
            if stop.is_set():
                log.info("stopped while starting", how=stop.how)
                return 0
            raise ClusterUnreachableError(app.settings.kafka.bootstrap, f"not within {LIMIT_S:.0f} s")
        starting.result()
        vigil.announce_when(lambda: ownership.ready)
        crashed = asyncio.create_task(app.wait_until_stopped(), name="faust")
        await asyncio.wait({asked, crashed, asyncio.ensure_future(failed)}, return_when=asyncio.FIRST_COMPLETED)
        code, reason = 0, None
        if not stop.is_set():
            reason = failed.exception() if failed.done() else app.crash_reason
            if not isinstance(reason, MemberTakenError):  # that is told at the very end
                code = _say_why(reason)
        log.info("stopping", how=stop.how or "failure")
        vigil.ending(leaves=stop.how == "scale-in")
        if not await _end(app, ownership, stop):
            code = code or 1
        log.info("stopped", how=stop.how or "failure", exit=code)
        if isinstance(reason, MemberTakenError):
            raise reason  # the vigil leaves its mark
        return code


def _say_why(reason: BaseException | None) -> int:
    if isinstance(reason, MemberTakenError):
        log.error("worker ends", error=str(reason))
        return TAKEN_EXIT
    if isinstance(reason, ClusterUnreachableError | TopicMissingError):
        log.error("worker ends", error=str(reason))
        return UNREACHABLE_EXIT
    if isinstance(reason, RuntimeFault | TimeoutError) and str(reason):  # without words, the traceback has to tell
        log.error("worker fails", error=str(reason))
        return 1
    log.error("worker fails", error=repr(reason), exc_info=reason)  # Faust crashes without a word
    return 1


async def _end(app: EvenpostApp, ownership: Ownership, stop: Stop) -> bool:
    """Finish, commit, leave the group where that was asked for, stop; whether all of it was in time."""

    async def finish() -> None:
        app.consumer.stop_flow()
        app.flow_control.suspend()
        await ownership.close()

    in_time = await _bounded(finish(), RELEASE_LIMIT_S, "owners")
    if stop.how == "scale-in":
        await cast("EvenpostConsumer", app.consumer).leave()
    return await _bounded(app.stop(), APP_LIMIT_S, "app") and in_time


async def _bounded(work: Coroutine[Any, Any, Any], limit_s: float, what: str) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            await work
    except TimeoutError:
        log.error("worker did not stop in time", what=what, limit_s=limit_s)  # noqa: TRY400  # no bug: a limit
        return False
    except Exception as error:  # noqa: BLE001  # the end goes on: what can still be committed is
        log.warning("worker did not stop cleanly", what=what, error=repr(error))
        return False
    return True


def _vitals(app: EvenpostApp, ownership: Ownership, views: Fresh | None, *, patience_s: float) -> Vitals:
    assigned_at: list[float] = []

    async def assigned(*_: Any, **__: Any) -> None:
        assigned_at[:] = [time.monotonic()]

    app.on_partitions_assigned.connect(assigned, weak=False)

    def conditions() -> Iterator[Condition]:
        owners = list(ownership.owners())
        if ownership.leaving:
            yield Condition(name="owned", ok=False, detail=f"{ownership.leaving} partitions are being given back")
        else:
            yield _joined(len(owners), assigned_at, in_group=cast("EvenpostConsumer", app.consumer).in_group)
        recovered = sum(owner.ready for owner in owners)
        yield Condition(
            name="recovered", ok=recovered == len(owners), detail=f"{recovered} of {len(owners)} partitions"
        )
        flows = cast("EvenpostConsumer", app.consumer).flow_active
        detail = "events are fetched" if flows else "no events are fetched: where they begin is not known yet"
        yield Condition(name="flow", ok=flows, detail=detail)
        if views is not None:
            yield views_condition(views)

    return Vitals(
        conditions=lambda: tuple(conditions()),
        progress=lambda: tuple(progress(app, ownership, patience_s=patience_s)),
        held=lambda: None if views is None or views.fresh() else "views are not current",
    )


def _joined(owned: int, assigned_at: list[float], *, in_group: bool) -> Condition:
    if owned:
        return Condition(name="owned", ok=True, detail=f"{owned} partitions")
    if not assigned_at:
        return Condition(name="owned", ok=False, detail="the group has given nothing yet")
    if not in_group:
        return Condition(name="owned", ok=False, detail="0 partitions: not in the group")
    stands_by = time.monotonic() - assigned_at[0] >= STANDS_BY_S
    return Condition(name="owned", ok=stands_by, detail="0 partitions: stands by" if stands_by else "0 partitions")


def run(main: Callable[[], Coroutine[Any, Any, int]], *, switch_s: float | None = None) -> NoReturn:
    """Run a role's coroutine on uvloop and end the process with its result.

    Ends by `os._exit`: by then all that matters is committed and closed, and some of Faust's tasks swallow the
    cancellation that an orderly end of the loop would wait for without bound.

    `switch_s`: how long a thread waits for the interpreter while another one computes; None leaves Python's 5 ms.
    """

    async def within_loop() -> int:
        return await main()  # Faust binds what it makes to the loop that runs then

    if switch_s is not None:
        sys.setswitchinterval(switch_s)
    code = 1
    try:
        code = uvloop.new_event_loop().run_until_complete(within_loop())
    except (RuntimeFault, TimeoutError) as error:
        code = _say_why(error)
    except Exception:
        log.exception("worker failed")
    sys.stderr.flush()
    os._exit(code)
