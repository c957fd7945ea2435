"""A commit that may never come back, waited for no longer than a commit can take.

librdkafka is to bound each step of a transaction, and was seen not to: a call waited for minutes, until the process
ended (`FencedProducer` gives up the one of which that is known).  A partition with it stands still, and so does a
rebalance that waits for the partition.  So:

1. The batch is committed, and then applied to the table, in a thread of its own.
2. What is not back within LIMIT_S is given up: FencedError, which means a new fence with a new producer.  Should the
   old one still commit, that was before the fence, and the stable offsets behind it say so.
3. The thread stays where it is, in nobody's way.  If it ever comes back it touches the table no more: that may be
   another owner's.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from streams.runtime.errors import FencedError
from streams.runtime.partition.own_thread import begun

# Offsets 6 s, delivery 5 s, then the commit or the abort asked for four times, 5 s each: 31 s at most.
LIMIT_S: Final = 40.0


async def committed_and_applied(
    *, commit: Callable[[], int | None], apply: Callable[[int | None], None], name: str
) -> None:
    """Commit, and apply what it returns; raises what they raise, or FencedError after LIMIT_S."""
    gate = threading.Lock()
    given_up = applied = False

    def both() -> None:
        nonlocal applied
        last = commit()
        with gate:
            if not given_up:
                apply(last)
                applied = True

    future = begun(both, name=f"{name} commits")
    done, _ = await asyncio.wait({future}, timeout=LIMIT_S)
    if not done:
        with gate:
            given_up = not applied
        if given_up:
            future.cancel()
            raise FencedError(name, f"a commit did not come back within {LIMIT_S:.0f} s")
    await future
