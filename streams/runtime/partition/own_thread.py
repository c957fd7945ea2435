"""A blocking call in a thread of its own, waited for no longer than it can rightly take.

Most calls of librdkafka are to keep a bound, and some were seen not to.  A pool has a place for each partition: a call
that never comes back would keep one of them for good, and a partition of this worker with it.  So:

1. Each call gets a daemon thread: one that hangs takes no place, and keeps no process from ending.
2. Who waits longer than the bound gets FencedError: the partition is taken over anew, with a new producer.
3. What the late one says, if ever, nobody hears.

Beginning a thread takes 0.1 ms; the calls take milliseconds.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from streams.runtime.errors import FencedError

_T = TypeVar("_T")


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

    def run() -> None:
        result, raised = None, None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # told to who waits
            raised = error
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(tell, result, raised)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


async def within(call: Callable[[], _T], *, limit_s: float, name: str) -> _T:
    """What the call returns or raises; FencedError where it is not back within `limit_s`."""
    future = begun(call, name=name)
    done, _ = await asyncio.wait({future}, timeout=limit_s)
    if not done:
        future.cancel()
        raise FencedError(name, f"a call did not come back within {limit_s:.0f} s")
    return future.result()
