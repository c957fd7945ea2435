"""A plain Faust agent with acks: `toy_acks.py DATA_DIR BOOTSTRAP PREFIX`; test_acks.py kills it.

Each event is said again on `sends.marketing`.  One that says `bad` raises, one that says `slow` waits for a file.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from streams.runtime import logs
from streams.runtime.app import make_app
from streams.runtime.life import worker
from streams.runtime.partition.acks import Acks, Send
from streams.runtime.partition.partition_loop import Received
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import KafkaSettings, Settings

ROLE = "toy"
TOPIC = "recipients.marketing"
BAD = b"bad"
SLOW = b"slow"
GO = "go"


def main() -> None:
    """Run until killed."""
    data_dir, bootstrap, prefix = sys.argv[1:]
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix, gate_partitions=2, slots=2, session_timeout_s=6.0)
    settings = Settings(data_dir=Path(data_dir), kafka=kafka)
    logs.configure("INFO")

    async def handle(event: Received, send: Send) -> None:
        if event.value == BAD:
            raise ValueError("bad, said someone@example.com")
        while event.value == SLOW and not (settings.data_dir / GO).exists():  # noqa: ASYNC110  # another process's file
            await asyncio.sleep(0.05)
        await send("sends.marketing", b"%d/%d" % (event.partition, event.offset), key=event.key)

    async def serve() -> int:
        app = make_app(ROLE, settings, member="toy-0")
        producer = RecordProducer(settings.kafka, client_id="toy-0")
        acks = Acks(app, role=ROLE, producer=producer)

        @app.agent(app.source(TOPIC), name="toy")
        async def take(stream: Any) -> None:
            await acks.each(stream, handle)

        readiness = worker.Readiness(settings, role=ROLE, member="toy-0")
        return await worker.serve(app, acks.ownership, readiness)

    worker.run(serve)


if __name__ == "__main__":
    main()
