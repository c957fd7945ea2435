"""A blocking call in a thread of its own, waited for no longer than it can rightly take.

Most calls of librdkafka are to keep a bound, and some were seen not to.  A pool has a place for each partition: a call
that never comes back would keep one of them for good, and a partition of this worker with it.  So:

1. Each call gets a daemon thread: one that is idle, or a new one.  A call that hangs keeps its own thread alone, takes
   no place, and keeps no process from ending.
2. Who waits longer than the bound gets FencedError: the partition is taken over anew, with a new producer.
3. What the late one says, if ever, nobody hears.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeVar

from streams.runtime.errors import FencedError

_T = TypeVar("_T")

# Idle threads that are kept: a worker's partitions commit at once, and to begin a thread takes longer than to wake one.
KEPT: Final = 64
# What a thread is to do: its name meanwhile, the work, and how it tells of it.
_Work = tuple[str, Callable[[], Callable[[], None]]]
# The idle threads, each by its own queue, the latest first: its caches are warm.  Both ends of a list are atomic.
_idle: list[SimpleQueue[_Work]] = []


def begun(call: Callable[[], _T], *, name: str) -> "asyncio.Future[_T]":
    """Begin a call; the future gives what it returns or raises."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def tell(result: _T | None, error: BaseException | None) -> None:
        if future.done():  # given up
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # without an error, it is what `call` returned
        else:
            future.set_exception(error)

    def run() -> Callable[[], None]:
        result, raised = None, None
        try:
            result = context.run(call)
        except BaseException as error:  # noqa: BLE001  # told to who waits
            raised = error
        return lambda: _tell(loop, tell, result, raised)

    context = contextvars.copy_context()  # its log lines name the member as the caller's do
    _hand_over((name, run))
    return future


def _tell(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], *what: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
        loop.call_soon_threadsafe(tell, *what)


def _hand_over(work: _Work) -> None:
    try:
        queue = _idle.pop()
    except IndexError:
        queue = SimpleQueue()
        threading.Thread(target=_serve, args=(queue,), daemon=True).start()
    queue.put(work)


def _serve(queue: SimpleQueue[_Work]) -> None:
    """Work off what comes; end where enough others are idle."""
    while True:
        threading.current_thread().name, work = queue.get()
        told = work()
        keep = len(_idle) < KEPT
        if keep:
            _idle.append(queue)  # before it tells: who is told may have the next call for it at once
        told()
        del work, told  # what they hold (a producer, a table) may be the last reference
        if not keep:
            return


async def within(call: Callable[[], _T], *, limit_s: float, name: str) -> _T:
    """What the call returns or raises; FencedError where it is not back within `limit_s`."""
    future = begun(call, name=name)
    done, _ = await asyncio.wait({future}, timeout=limit_s)
    if not done:
        future.cancel()
        raise FencedError(name, f"a call did not come back within {limit_s:.0f} s")
    return future.result()
