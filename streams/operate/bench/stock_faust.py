"""Stock Faust, as one would run it well: plain agents on its own aiokafka transport.

Chosen in its favour: raw codec, prefetch and buffers as large as ours, the same commit interval, no web server, no
leader, no topic declared, cython streams as its wheel has them, uvloop as ours.  Its producer asks for all replicas'
acks (its default) and lingers as long as ours: with its own default of 0 the same agents are slower (see
docs/performance.md).  The one file of `streams.operate` that knows Faust, because Faust is what it measures.
"""

import asyncio
from typing import Any, Final

import faust
from yarl import URL

from streams.operate.bench.meter import Meter
from streams.operate.bench.workloads import COMMIT_INTERVAL_S, PARTITIONS, SENDS_UNDER_WAY, SOURCE, Task
from streams.runtime.app import MAX_POLL_RECORDS, STREAM_BUFFER
from streams.runtime.producer import LINGER_MS
from streams.runtime.settings import Settings


async def run(task: Task, settings: Settings, meter: Meter) -> None:
    """Work until the meter has all, and so long that the last offsets are committed."""
    app = _app(task, settings)
    source = app.topic(settings.topic(SOURCE), **_RAW)
    match task.workload:
        case "raw":
            _take(app, source, meter)
        case "table":
            _write(app, source, meter, settings.topic(task.changelog))
        case "send":
            _send(app, source, meter, settings.topic(task.output))
        case "ack":
            _ack(app, source, meter)
    await app.start()
    await meter.ended.wait()
    await asyncio.sleep(COMMIT_INTERVAL_S * 2)
    await app.stop()


_RAW: Final[dict[str, Any]] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}


def _app(task: Task, settings: Settings) -> faust.App:
    datadir = settings.data_dir / task.run
    datadir.mkdir(parents=True)
    return faust.App(
        settings.topic(task.run),
        broker=[URL(f"aiokafka://{server}") for server in str(settings.kafka.bootstrap).split(",")],
        store="rocksdb://?driver=rocksdict",
        datadir=str(datadir),
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=PARTITIONS,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_buffer_maxsize=STREAM_BUFFER,
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_max_poll_records=MAX_POLL_RECORDS,
        producer_linger=LINGER_MS / 1000,
        consumer_auto_offset_reset="earliest",
    )


def _take(app: faust.App, source: Any, meter: Meter) -> None:
    @app.agent(source)
    async def take(stream: Any) -> None:
        async for _ in stream:
            meter.one(stream.current_event.message.offset)


def _write(app: faust.App, source: Any, meter: Meter, changelog: str) -> None:
    table = app.Table(  # of bytes: such a table keeps them as they are
        "persons",
        partitions=PARTITIONS,
        changelog_topic=app.topic(changelog, compacting=True, **_RAW),
        key_type=bytes,
        value_type=bytes,
    )

    @app.agent(source)
    async def write(stream: Any) -> None:
        async for _ in stream:
            event = stream.current_event
            table[event.key] = b"%d" % (int(table.get(event.key) or 0) + 1)
            meter.one(event.message.offset)


def _send(app: faust.App, source: Any, meter: Meter, output: str) -> None:
    out = app.topic(output, **_RAW)

    @app.agent(source)
    async def send(stream: Any) -> None:
        under_way = asyncio.Semaphore(SENDS_UNDER_WAY)
        unacked = stream.noack()
        async for value in unacked:
            event = unacked.current_event
            await under_way.acquire()
            sent: Any = await out.send(key=event.key, value=value)

            def done(future: Any, event: Any = event) -> None:
                under_way.release()
                future.result()
                event.ack()
                meter.one(event.message.offset)

            sent.add_done_callback(done)


def _ack(app: faust.App, source: Any, meter: Meter) -> None:
    @app.agent(source)
    async def ack(stream: Any) -> None:
        unacked = stream.noack()
        async for _ in unacked:
            event = unacked.current_event
            event.ack()
            meter.one(event.message.offset)
