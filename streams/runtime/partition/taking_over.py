"""How a worker becomes the owner of a partition, the first time and after each fence alike (DESIGN.md, choice 4).

1. The assignment is confirmed: a heartbeat in the current generation was answered.  Until then: wait.
2. A new producer fences: the former owner's transaction ends, and it never commits again.
3. The assignment is confirmed once more.  A process that was stopped between 1 and 2 and woke up late has just fenced
   its successor; it gives its producer up here, begins at 1, and the successor takes over anew.
4. The group's stable offsets are asked for until no transaction is pending on them.
5. What the owner goes on from is recovered, by whoever knows how: a table, a journal.  It is told the stable offsets
   with their metadata, and knows better where a restarted coordinator tells offsets from before its restart (ADR 8).

Who is told to stop fences no more, and stops after the step it is in.  A call of librdkafka that does not come back is
left behind in its thread, with its producer: it begins at 1, with another; who tells the offsets makes its client anew
as well (`group_offsets`).  What takes long for the broker's sake (a broker that is away) is asked for again, without
end: the worker lives on, and who watches it sees a position that stands.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import structlog
from confluent_kafka import KafkaException

from streams.runtime.errors import FencedError
from streams.runtime.partition.fenced import FENCE_ASK_S, Fencing
from streams.runtime.partition.group_offsets import STABLE_ASK_S, Committed, GroupOffsets
from streams.runtime.partition.own_thread import begun, within
from streams.runtime.state.changelog import RecoveryError

log = structlog.get_logger(__name__)

# How soon an assignment that is not confirmed is looked at again: a rebalance takes a second or so.
AGAIN_S: Final = 0.25
# Beyond the bound that librdkafka is given for a call, until it counts as one that does not come back: 2 cores that are
# busy with a recovery make a thread wait for a second or so.
LATE_S: Final = 5.0
# librdkafka ends its threads and closes its sockets in 0.1 s.
CLOSE_S: Final = 5.0
# Behind our fence nothing of the former owner's is open: what is still pending on the offsets has lost its marker.  The
# coordinator knows how it ended, and no client can ask it any more; to decide anew could double a committed batch.
HANGING_S: Final = 60.0
HANGING: Final = (
    "the group's offsets are held by a transaction whose end the broker did not write (KAFKA-20734), or the broker is "
    "away; if it is there: kafka-transactions.sh find-hanging names it, docs/sres.md says how to end it"
)


class Closing(Protocol):
    """What was recovered, and is closed before the next owner recovers it."""

    def close(self) -> None:
        """Let it go."""


_T = TypeVar("_T")
_Producer = TypeVar("_Producer", bound=Fencing)
_Recovered = TypeVar("_Recovered", bound=Closing)


@dataclass(frozen=True, kw_only=True)
class Taken(Generic[_Producer, _Recovered]):
    """A partition that is ours: fenced and recovered; `stable`: what the group has committed, by full name."""

    producer: _Producer
    stable: Mapping[str, Committed]
    recovered: _Recovered

    async def give_up(self, name: str) -> None:
        """Close what was recovered, which the next owner may open here; then the producer."""
        try:
            await begun(self.recovered.close, name=f"{name} closes what it recovered")
        finally:
            await _closed(self.producer, name)


class TakingOver(Generic[_Producer, _Recovered]):
    """Takes one partition over, as often as it has to be."""

    def __init__(
        self,
        partition: int,
        *,
        topics: Sequence[str],
        group: GroupOffsets,
        executor: Executor,
        make_producer: Callable[[], _Producer],
        recover: Callable[[Mapping[str, Committed]], _Recovered],
        is_owner: Callable[[], Awaitable[bool]],
        go_on: Callable[[], bool],
    ) -> None:
        """`topics` by full name; `go_on` turns False when all is to end.

        `recover` blocks, in the executor.  Where it raises RecoveryError, as once `go_on` is False, or KafkaException,
        the partition is fenced anew; anything else ends the taking over.
        """
        self._partition = partition
        self._name = f"partition {partition}"
        self._topics = topics
        self._recover = recover
        self._group = group
        self._executor = executor
        self._make_producer = make_producer
        self._is_owner = is_owner
        self._go_on = go_on

    async def take(self) -> Taken[_Producer, _Recovered] | None:
        """All the steps, until they succeed; None where the partition is to be given up.

        Raises ForbiddenError, or what `recover` raises.
        """
        while await self._confirmed():
            producer = await self._in_thread(self._make_producer)
            try:
                taken = await self._with(producer)
            except (FencedError, RecoveryError, KafkaException) as error:
                log.warning("partition not taken yet", partition=self._partition, error=str(error))
                taken = None
            except BaseException:
                await _closed(producer, self._name)
                raise
            if taken is not None:
                return taken
            await _closed(producer, self._name)
            await asyncio.sleep(AGAIN_S)
        return None

    async def _with(self, producer: _Producer) -> Taken[_Producer, _Recovered] | None:
        if not await self._fenced(producer):
            return None
        if not await self._is_owner():
            log.warning("assignment not confirmed after the fence", partition=self._partition)
            return None
        stable = await self._stable()
        if stable is None:
            return None
        recovered = await self._in_thread(lambda: self._recover(stable))
        return Taken(producer=producer, stable=stable, recovered=recovered)

    async def _confirmed(self) -> bool:
        """Wait for step 1; False where the partition is to be given up."""
        while self._go_on():
            if await self._is_owner():
                return self._go_on()
            await asyncio.sleep(AGAIN_S)
        return False

    async def _fenced(self, producer: Fencing) -> bool:
        """Step 2.  A broker that does not answer is asked again as long as the assignment holds."""
        # In the thread that fences, right before it does: a revocation may have come while it waited for its turn.
        while not await self._asked(lambda: self._go_on() and producer.fence(), FENCE_ASK_S):
            if not self._go_on() or not await self._is_owner():
                return False
        return True

    async def _stable(self) -> dict[str, Committed] | None:
        """Step 4; None where the partition is to be given up."""
        began = time.monotonic()
        while self._go_on():
            found = await self._asked(lambda: self._group.committed(self._topics, self._partition), STABLE_ASK_S)
            if found is not None:
                return found
            waited = time.monotonic() - began
            if waited < HANGING_S:
                log.warning("stable offsets not known yet", partition=self._partition, waited_s=round(waited))
            else:
                log.error(HANGING, partition=self._partition, waited_s=round(waited))
            await asyncio.sleep(AGAIN_S)
        return None

    async def _asked(self, call: Callable[[], _T], limit_s: float) -> _T:
        """A call of librdkafka.  Raises FencedError where it does not keep its bound."""
        return await within(call, limit_s=limit_s + LATE_S, name=self._name)

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


async def _closed(producer: Fencing, name: str) -> None:
    """Close it, or leave it behind: what it has open, the next fence or the broker's timer ends."""
    try:
        await within(producer.close, limit_s=CLOSE_S, name=name)
    except FencedError as late:
        log.warning("a producer that does not close is left behind", name=name, error=str(late))
