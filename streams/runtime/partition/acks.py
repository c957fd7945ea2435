"""Acks for a plain Faust agent: an event is done when what it caused is durable, and not before.

    acks = Acks(app, role="inbound", producer=producer)

    @app.agent(app.source("feedback"))
    async def inbound(stream):
        await acks.each(stream, handle)

    async def handle(event: Received, send: Send) -> None:
        await send("deliveries", value, key=key)

Nothing is acked by hand, nothing sent is awaited by hand; `worker.serve(app, acks.ownership, ...)` runs it.

What `each` does with an event:

1. It goes to its partition's own lane: in order there, and a slow partition keeps no other waiting (FAUST.md 19).
2. `handle` runs.  What it sends goes out at once; the next event begins while the broker still writes.
3. Once every record that it sent is durable, the event is done (`app.ledger`), and its offset may be committed as soon
   as all before it are done (FAUST.md 1, 4).  At most OPEN events a partition are between 2 and 3.
4. Where `handle` raises, or a record is refused for what it is, it is tried again after a short pause, `worker.tries`
   times in all.  Then the event goes to dead-letters with the traceback's last line; that is awaited, and the event is
   done.  Events behind it go on meanwhile, up to OPEN.  So `handle` must bear to be called twice for one event.
   Where the broker is away, that is no event's fault: it is tried again for as long as it takes.
5. A fuse stops the worker where too many end so: nothing of those is acked.

On a rebalance the event in hand is finished; what is not durable by then is not done, and comes again to whoever has
the partition next: at least once, never lost.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import structlog
from confluent_kafka import KafkaException

from streams.runtime import metrics
from streams.runtime.app import EvenpostApp
from streams.runtime.dead_letters import INTERNAL, DeadLetter, Failure, bury
from streams.runtime.partition.deciding import Received
from streams.runtime.partition.fenced import REFUSALS
from streams.runtime.partition.fuse import Fuse
from streams.runtime.partition.ownership import Ownership
from streams.runtime.producer import RecordProducer

log = structlog.get_logger(__name__)

# Events of a partition whose records are on their way: a broker that answers in 5 ms then takes 200,000 a second.
OPEN: Final = 1_000
# Between two tries; what fails for a broker's or a file's sake is often over by then.
PAUSES_S: Final = (0.05, 0.5, 2.0)
# A record that was not delivered has waited for the broker (120 s) already; it may be told so at once, too.
AGAIN_S: Final = (1.0, 5.0, 15.0)
# A partition that is given up waits this long for records on their way, well within a session (6 s at least).
DRAIN_S: Final = 4.0
# What is cut ends at its next await; who catches that as well is left behind.
CUT_S: Final = 2.0
# Events that `handle` takes without ever waiting let others run after so many.
TURN: Final = 100


class Send(Protocol):
    """Send a record to a declared topic; its delivery is waited for before the event is done."""

    async def __call__(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Mapping[str, bytes] | None = None,
    ) -> None:
        """Hand it over."""


Handle = Callable[[Received, Send], Awaitable[None]]


class Acks:
    """The acks of one app: its agents, its partitions."""

    def __init__(self, app: EvenpostApp, *, role: str, producer: RecordProducer, fuse: Fuse | None = None) -> None:
        self.app = app
        self.role = role
        self.producer = producer
        self.fuse = fuse or Fuse(app.settings.worker.fuse_share)
        self.handles: dict[str, Handle] = {}
        self.ownership = Ownership(app, lambda partition: _Lane(partition, self))

    async def each(self, stream: Any, handle: Handle) -> None:
        """Handle each event of the stream, for as long as the agent lives."""
        self.handles[stream.channel.get_topic_name()] = handle
        await self.ownership.take_from(stream)


class _Open(NamedTuple):
    """An event whose records are on their way."""

    message: Any
    futures: list["asyncio.Future[int]"]
    error: Exception | None


class _Lane:
    """One partition number's events."""

    def __init__(self, partition: int, acks: Acks) -> None:
        self._partition = partition
        self._acks = acks
        self._ledger = acks.app.ledger
        self._prefix = acks.app.settings.kafka.prefix
        self._tries = acks.app.settings.worker.tries
        self._inbox: deque[Any] = deque()
        self._backlog: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._open: deque[_Open] = deque()
        self._came, self._opened, self._settled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._counted: Counter[str] = Counter()
        self._stopping = False
        self._handled = False  # nothing is opened any more
        self.ready = True  # there is nothing to recover
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._ended = asyncio.Event()
        self._ended.set()

    def put(self, message: Any) -> None:
        """Take an event over, once."""
        topic = message.topic
        if message.offset <= self._taken.get(topic, -1):
            return
        self._taken[topic] = message.offset
        self._ledger.take(topic, message.partition, message.offset)
        self._inbox.append(message)
        self._backlog[topic] = self._backlog.get(topic, 0) + 1
        self._came.set()

    def backlog(self, topic: str) -> int:
        """How many events of this topic wait for their turn."""
        return self._backlog.get(topic, 0)

    def positions(self) -> None:
        """The ledger's to know."""

    async def run(self) -> None:
        """Handle and settle until stopped."""
        if self._stopping:
            return
        self._ended.clear()
        self._tasks = (
            asyncio.create_task(self._handle(), name=f"handle-{self._partition}"),
            asyncio.create_task(self._settle(), name=f"settle-{self._partition}"),
        )
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in self._tasks:
                if task.done() and not task.cancelled():
                    task.result()
        finally:
            self._cut()
            await asyncio.wait(self._tasks)
            self._ended.set()

    def _cut(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """Finish the event in hand, and what is on its way, as far as it is done in time."""
        self._stopping = True
        for event in (self._came, self._settled):
            event.set()
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._ended.wait()
        except TimeoutError:
            log.warning("partition given up with events under way", partition=self._partition)
            self._cut()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CUT_S):
                    await self._ended.wait()

    async def _handle(self) -> None:
        turn = 0
        while not self._stopping:
            if not self._inbox:
                self._came.clear()
                await self._came.wait()
                continue
            if len(self._open) >= OPEN:
                self._settled.clear()
                await self._settled.wait()
                continue
            message = self._inbox.popleft()
            self._backlog[message.topic] -= 1
            self._counted[message.topic] += 1
            opened = await self._begun(message)
            if opened.futures or opened.error is not None or self._open:
                self._open.append(opened)
                self._opened.set()
            else:
                self._done(message)
            turn += 1
            if turn % TURN == 0 or not self._inbox:
                self._count()
                self._acks.ownership.resume(self, self._partition)
                await asyncio.sleep(0)
        self._handled = True
        self._opened.set()

    def _count(self) -> None:
        for topic, events in self._counted.items():
            metrics.EVENTS.labels(topic.removeprefix(self._prefix)).inc(events)
        self._counted.clear()

    async def _begun(self, message: Any) -> _Open:
        futures: list[asyncio.Future[int]] = []
        send_record, prefix = self._acks.producer.send, self._prefix

        async def send(topic: str, value: bytes | None, **how: Any) -> None:
            futures.append(await send_record(prefix + topic, value, **how))

        try:
            await self._acks.handles[message.topic](self._received(message), send)
        except Exception as error:  # noqa: BLE001  # whatever it is, the event has its tries and its end
            return _Open(message, futures, error)
        return _Open(message, futures, None)

    async def _settle(self) -> None:
        """Settle what is open, in order."""
        while self._open or not self._handled:
            if not self._open:
                self._opened.clear()
                await self._opened.wait()
                continue
            await self._settled_one(self._open[0])
            self._open.popleft()
            self._settled.set()

    async def _settled_one(self, opened: _Open) -> None:
        tried, away = 1, 0
        while (outcome := await _outcome(opened)) is not None:
            if outcome.away:
                await self._wait_for_broker(opened.message, outcome.error, away)
                away += 1
                opened = await self._begun(opened.message)
                continue
            metrics.FAILURES.labels(self._name(opened.message)).inc()
            if tried >= self._tries:
                await self._give_up(opened.message, Failure(error=outcome.error, tries=tried))
                return
            await asyncio.sleep(PAUSES_S[min(tried, len(PAUSES_S)) - 1])
            tried += 1
            opened = await self._begun(opened.message)
        self._done(opened.message)

    async def _wait_for_broker(self, message: Any, error: Exception, times: int) -> None:
        where = {"topic": self._name(message), "partition": message.partition, "offset": message.offset}
        log.warning("records of an event are not durable yet, sending again", **where, error=str(error))
        await asyncio.sleep(AGAIN_S[min(times, len(AGAIN_S) - 1)])

    async def _give_up(self, message: Any, failure: Failure) -> None:
        name = self._name(message)
        log.error("event failed", topic=name, offset=message.offset, tries=failure.tries, exc_info=failure.error)
        letter = DeadLetter(
            role=self._acks.role,
            topic=name,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            reason=INTERNAL,
            error=failure.line,
            tries=failure.tries,
        )
        with self._acks.fuse.weighed(events=1, failed=1):
            await self._buried(message, letter)
        metrics.FUSE.set(self._acks.fuse.share)
        self._ledger.done(message.topic, message.partition, message.offset)

    async def _buried(self, message: Any, letter: DeadLetter) -> None:
        times = 0
        while True:
            try:
                await bury(self._acks.producer, self._acks.app.settings, letter)
            except KafkaException as error:
                if _refused(error):  # a letter is bounded by its topic: a defect, and the worker says so
                    raise
                await self._wait_for_broker(message, error, times)
                times += 1
            else:
                return

    def _done(self, message: Any) -> None:
        self._acks.fuse.admit(events=1, failed=0)
        self._ledger.done(message.topic, message.partition, message.offset)

    def _name(self, message: Any) -> str:
        return str(message.topic).removeprefix(self._prefix)

    def _received(self, message: Any) -> Received:
        return Received(
            topic=self._name(message),
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            headers=dict(message.headers or ()),
        )


class _Wanting(NamedTuple):
    """What keeps an event from being done; `away`: nothing but a broker that did not take its records in time."""

    error: Exception
    away: bool


async def _outcome(opened: _Open) -> _Wanting | None:
    """What keeps the event from being done; None once all it sent is durable."""
    ours, brokers = opened.error, None
    for future in opened.futures:
        try:
            await future
        except Exception as failed:  # noqa: BLE001  # the first is what is told; the others are its like
            if isinstance(failed, KafkaException) and not _refused(failed):
                brokers = brokers or failed
            else:
                ours = ours or failed
    if ours is not None:
        return _Wanting(ours, away=False)
    return None if brokers is None else _Wanting(brokers, away=True)


def _refused(error: KafkaException) -> bool:
    return error.args[0].code() in REFUSALS
