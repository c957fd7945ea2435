"""A gate that says which event it decided, and when: `lifecycle_worker.py MEMBER`, with settings from the environment.

For each event of `recipients.marketing` it writes `PARTITION/OFFSET` to `sends.marketing`.  What was given to it to
decide goes to `handed/<member>.<pid>` below the data directory.  While a file `hold-<member>` is there, nothing is
decided; an event of the value `block` blocks the event loop.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

from streams.runtime import logs
from streams.runtime.app import make_app
from streams.runtime.life import worker
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.ownership import Ownership
from streams.runtime.partition.partition_loop import PartitionLoop, Received
from streams.runtime.settings import Settings
from streams.runtime.state.local_state import state_path
from streams.runtime.state.tables import PartitionTable

TOPIC = "recipients.marketing"


class Saying:
    """The decider."""

    def __init__(self, table: PartitionTable, record: TextIO) -> None:
        self._table = table
        self._record = record

    def receive(self, received: Received, now: datetime) -> Sequence[Any]:
        """Write one value to the table and say one thing."""
        self._record.write(f"{received.partition}/{received.offset}\n")
        if received.value == b"block":
            time.sleep(3_600)
        self._table.put(b"p/" + (received.key or b""), b"%d" % received.offset)
        source = b"%d/%d" % (received.partition, received.offset)
        return [SimpleNamespace(topic="sends.marketing", key=received.key, value=source, partition=None, headers={})]

    def reject(self, received: Received, now: datetime, failure: Any) -> Sequence[Any]:
        """Nothing fails here."""
        raise AssertionError(failure)

    def bury(self, received: Received, failure: Any) -> Any:
        """Nor here."""
        raise AssertionError(failure)

    def release(self, now: datetime, *, limit: int) -> Sequence[Any]:
        """Nothing waits."""
        return []

    def next_release(self, now: datetime) -> datetime | None:
        """Never."""
        return None


def main() -> None:
    """Run until told to end."""
    member, settings = sys.argv[1], Settings()
    logs.configure("INFO")
    handed = settings.data_dir / "handed"
    handed.mkdir(exist_ok=True)
    record = (handed / f"{member}.{os.getpid()}").open("a", encoding="ascii", buffering=1)
    hold = Path(settings.data_dir / f"hold-{member}")

    async def serve() -> int:
        app = make_app("gate", settings, member=member)
        group = GroupOffsets(settings.kafka, app.conf.id)
        executor = ThreadPoolExecutor(settings.kafka.gate_partitions)
        ownership: Ownership

        def owner(partition: int) -> PartitionLoop:
            return PartitionLoop(
                partition,
                settings=settings,
                role="gate",
                topics=(TOPIC,),
                changelog="gate-state",
                path=state_path(settings, member, f"gate-{partition}"),
                group=group,
                executor=executor,
                make_decider=lambda table: Saying(table, record),
                may_decide=lambda: not hold.exists(),
                on_failure=ownership.fail,
                on_worked=ownership.resume,
                is_owner=ownership.confirmed,
            )

        ownership = Ownership(app, owner)

        @app.agent(app.source(TOPIC), name="lifecycle")
        async def take(stream: Any) -> None:
            await ownership.take_from(stream)

        return await worker.serve(app, ownership, worker.Readiness(settings, role="gate", member=member))

    worker.run(serve)


if __name__ == "__main__":
    main()
