"""The second workload: a plain Faust agent with acks, whose effect is at least once and never committed ahead.

Each event is answered by one record, produced idempotently outside any transaction; the event is done when that record
is durable (streams.runtime.partition.acks).
"""

from typing import Any

import msgspec

from streams.operate.chaos.runtime import events
from streams.operate.chaos.runtime.events import PLAIN, PlainEffect
from streams.runtime.app import make_app
from streams.runtime.life import worker
from streams.runtime.partition.acks import Acks, Send
from streams.runtime.partition.deciding import Received
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings


async def answer(event: Received, send: Send) -> None:
    """One record an event, on the partition of its number."""
    effect = PlainEffect(partition=event.partition, offset=event.offset, number=int(event.value or b"0"))
    await send(events.PLAIN_OUTPUT, msgspec.json.encode(effect), key=event.key, partition=event.partition)


async def serve(settings: Settings, member: str) -> int:
    """Serve until stopped."""
    producer = RecordProducer(settings.kafka, client_id=f"evenpost-{member}")
    app = make_app(PLAIN, settings, member=member)
    acks = Acks(app, role=PLAIN, producer=producer)

    @app.agent(app.source(events.PLAIN_SOURCE), name=PLAIN)
    async def plain(stream: Any) -> None:
        await acks.each(stream, answer)

    readiness = worker.Readiness(settings, role=PLAIN, member=member)
    code = await worker.serve(app, acks.ownership, readiness)
    producer.close()
    return code


def run(settings: Settings, member: str) -> None:
    """Run one."""
    worker.run(lambda: serve(settings, member))
