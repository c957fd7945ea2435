"""Our runtime with the same agents: events by `Ownership`, tables by `PartitionLoop`, acks and sends by `Acks`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from streams.operate.bench.counting import Counting, Telling
from streams.operate.bench.meter import Meter, MeteredLedger
from streams.operate.bench.producers import Metered, WithoutTransactions
from streams.operate.bench.workloads import COMMIT_INTERVAL_S, PARTITIONS, SENDS_UNDER_WAY, Task
from streams.runtime.app import EvenpostApp, make_app
from streams.runtime.partition.acks import Acks, Send
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.ownership import Ownership
from streams.runtime.partition.partition_loop import PartitionLoop, Received
from streams.runtime.partition.transactions import FencedProducer, PartitionProducer
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings

MEMBER: Final = "bench-0"

Failed = asyncio.Future[None]


async def run(task: Task, settings: Settings, meter: Meter) -> None:
    """Work until the meter has all, and so long that the last offsets are committed."""
    app = make_app(task.run, settings, member=MEMBER)
    failed: Failed = asyncio.get_running_loop().create_future()
    _work(app, task, meter, failed)
    await app.start()
    waits: set[asyncio.Future[Any]] = {asyncio.create_task(meter.ended.wait()), failed}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        failed.result()
    await asyncio.sleep(COMMIT_INTERVAL_S * 2)
    await app.stop()


def _work(app: EvenpostApp, task: Task, meter: Meter, failed: Failed) -> None:
    if task.workload in {"table", "latency"}:
        _decide(app, task, meter, failed)
        return
    app.ledger = MeteredLedger(meter)
    if task.workload == "raw":
        _hand_over(app, task, Ownership(app, lambda _: Taking(app)), failed)
    elif task.side == "plain":
        _send(app, task, failed)
    else:
        _ack(app, task, failed)


def _hand_over(app: EvenpostApp, task: Task, ownership: Ownership, failed: Failed) -> None:
    ownership.failed = failed

    @app.agent(app.source(task.source), name="bench")
    async def source(stream: Any) -> None:
        await ownership.take_from(stream)


class Taking:
    """The owner that does nothing: an event is done as it comes."""

    def __init__(self, app: EvenpostApp) -> None:
        self._ledger = app.ledger
        self.ready = True

    def positions(self) -> None:
        """The ledger's to know."""

    async def run(self) -> None:
        """Nothing is under way, ever."""

    def put(self, message: Any) -> None:
        """Done at once."""
        topic, partition, offset = message.topic, message.partition, message.offset
        self._ledger.take(topic, partition, offset)
        self._ledger.done(topic, partition, offset)

    def backlog(self, topic: str) -> int:
        """Nothing waits."""
        del topic
        return 0

    async def stop(self) -> None:
        """As `run`."""


def _decide(app: EvenpostApp, task: Task, meter: Meter, failed: Failed) -> None:
    settings = app.settings
    group = GroupOffsets(settings.kafka, app.conf.id)
    threads = ThreadPoolExecutor(PARTITIONS)
    ownership: Ownership

    def decider(table: Any) -> Counting:
        return Telling(table, task.output) if task.workload == "latency" else Counting(table)

    def owner(partition: int) -> PartitionLoop:
        return PartitionLoop(
            partition,
            settings=settings,
            role=task.run,
            topics=(task.source,),
            changelog=task.changelog,
            path=settings.data_dir / task.run / str(partition),
            group=group,
            executor=threads,
            make_decider=decider,
            may_decide=lambda: True,
            on_failure=ownership.fail,
            on_worked=ownership.resume,
            is_owner=ownership.confirmed,
            make_producer=lambda: Metered(_producer(app, task, partition), meter),
        )

    ownership = Ownership(app, owner)
    _hand_over(app, task, ownership, failed)


def _producer(app: EvenpostApp, task: Task, partition: int) -> PartitionProducer:
    name = f"{app.conf.id}-{partition}"
    if task.side == "transactions":
        return FencedProducer(app.settings.kafka, name)
    return WithoutTransactions(app, name)


def _ack(app: EvenpostApp, task: Task, failed: Failed) -> None:
    acks = Acks(app, role=task.run, producer=RecordProducer(app.settings.kafka, client_id=task.run))
    acks.ownership.failed = failed

    async def send(event: Received, send: Send) -> None:
        await send(task.output, event.value, key=event.key)

    async def ack(event: Received, send: Send) -> None:
        del event, send

    @app.agent(app.source(task.source), name="bench")
    async def source(stream: Any) -> None:
        await acks.each(stream, send if task.workload == "send" else ack)


def _send(app: EvenpostApp, task: Task, failed: Failed) -> None:
    """The agent of `stock_faust`, line by line; only who notes that an event is done differs."""
    out = app.source(task.output)
    ledger = app.ledger

    @app.agent(app.source(task.source), name="bench")
    async def send(stream: Any) -> None:
        under_way = asyncio.Semaphore(SENDS_UNDER_WAY)
        unacked = stream.noack()
        async for value in unacked:
            event = unacked.current_event
            message = event.message
            ledger.take(message.topic, message.partition, message.offset)
            await under_way.acquire()
            sent = await out.send(key=event.key, value=value)

            def done(future: Any, message: Any = message) -> None:
                under_way.release()
                error = future.exception()
                if error is None:
                    ledger.done(message.topic, message.partition, message.offset)
                elif not failed.done():
                    failed.set_exception(error)

            sent.add_done_callback(done)
