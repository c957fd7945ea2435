"""A gate whose decision is to count: `toy_worker.py DATA_DIR BOOTSTRAP PREFIX MEMBER`; test_partition_loop.py kills it.

For each event it adds one to its person's number and says so on `sends.marketing`.  Where the file `stop-MEMBER` is in
its data directory, it takes it away and stops itself (SIGSTOP) between a transaction's offsets and its commit.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from streams.runtime import logs
from streams.runtime.app import make_app
from streams.runtime.dead_letters import Failure
from streams.runtime.life import worker
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.ownership import Ownership
from streams.runtime.partition.partition_loop import PartitionLoop, Received
from streams.runtime.partition.transactions import FencedProducer
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.state.local_state import state_path
from streams.runtime.state.tables import PartitionTable

TOPICS = ("recipients.transactional", "returns", "recipients.marketing")
POISON = b"poison"


class Counting:
    """The decider; a poisoned event raises once something was written for it."""

    def __init__(self, table: PartitionTable) -> None:
        self._table = table

    def receive(self, received: Received, now: datetime) -> Sequence[Any]:
        """Count."""
        count = int(self._table.get(b"p/" + (received.key or b"")) or 0) + 1
        self._table.put(b"p/" + (received.key or b""), b"%d" % count)
        if received.value == POISON:
            raise ValueError("poison")
        return [self._said(received, b"%d" % count)]

    def reject(self, received: Received, now: datetime, failure: Failure) -> Sequence[Any]:
        """Say that it could not be counted."""
        return [self._said(received, b"rejected")]

    def bury(self, received: Received, failure: Failure) -> Any:
        """Say that it could not even be rejected."""
        return self._said(received, b"buried")

    def _said(self, received: Received, what: bytes) -> Any:
        source = b"%d/%d " % (received.partition, received.offset)
        return SimpleNamespace(
            topic="sends.marketing", key=received.key, value=source + what, partition=None, headers={}
        )

    def release(self, now: datetime, *, limit: int) -> Sequence[Any]:
        """Nothing waits."""
        return []

    def next_release(self, now: datetime) -> datetime | None:
        """Never."""
        return None


class Stopping(FencedProducer):
    """Stops its process right before a commit."""

    stop_file: Path

    def finish(self) -> None:
        """Commit, once whoever stopped us lets us."""
        if self.stop_file.exists():
            self.stop_file.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        super().finish()


def main() -> None:
    """Run until killed."""
    data_dir, bootstrap, prefix, member = sys.argv[1:]
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix, gate_partitions=2, slots=2, session_timeout_s=6.0)
    settings = Settings(data_dir=Path(data_dir), kafka=kafka)
    logs.configure("INFO")

    async def serve() -> int:
        app = make_app("gate", settings, member=member)
        group = GroupOffsets(settings.kafka, app.conf.id)
        executor = ThreadPoolExecutor(4)
        ownership: Ownership

        def producer(partition: int) -> Stopping:
            made = Stopping(settings.kafka, f"{prefix}gate-{partition}")
            made.stop_file = settings.data_dir / f"stop-{member}"
            return made

        def owner(partition: int) -> PartitionLoop:
            return PartitionLoop(
                partition,
                settings=settings,
                role="gate",
                topics=TOPICS,
                changelog="gate-state",
                path=state_path(settings, member, f"gate-{partition}"),
                group=group,
                executor=executor,
                make_decider=Counting,
                may_decide=lambda: True,
                on_failure=ownership.fail,
                on_worked=ownership.resume,
                is_owner=ownership.confirmed,
                make_producer=lambda: producer(partition),
            )

        ownership = Ownership(app, owner)
        for name in TOPICS:

            @app.agent(app.source(name), name=f"toy-{name}")
            async def take(stream: Any) -> None:
                await ownership.take_from(stream)

        readiness = worker.Readiness(settings, role="gate", member=member)
        return await worker.serve(app, ownership, readiness)

    worker.run(serve)


if __name__ == "__main__":
    main()
