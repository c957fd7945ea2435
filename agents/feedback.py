"""FEEDBACK: upstream's suppression requests become entries of the suppression list.

Each partition of the requests has one fenced owner (`PartitionLoop`, without a table).  A request is decoded, its
address named by its keyed hash, and the entry (or, for a lift, its tombstone) written, in one transaction with the
request's offset: a former owner that wakes up late is fenced, and puts no old word over a newer one (ADR 10).  Readers
of the list don't wait for the commit.  What can't be used is a dead letter with its reason.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas import topics
from streams.feedback.requests import SuppressionKeys, entry_for
from streams.runtime.app import make_app
from streams.runtime.dead_letters import INTERNAL, MALFORMED, DeadLetter, Failure
from streams.runtime.keys import load_key
from streams.runtime.life import worker
from streams.runtime.metrics import SUPPRESSED
from streams.runtime.partition.emission import Emission
from streams.runtime.partition.fuse_file import fuse_kept_in
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.ownership import Ownership
from streams.runtime.partition.partition_loop import PartitionLoop, Received
from streams.runtime.partition.slices import SWITCH_S
from streams.runtime.settings import Settings
from streams.runtime.state.local_state import state_path

ROLE: Final = "feedback"
# It has no view that would tell that the broker is away; what is not committed then is decided again when it is back.
PATIENCE_S: Final = 300.0
# Each partition makes its producer in a thread; what waits for Kafka has threads of its own (`own_thread`).
_PARTITIONS: Final = topics.SUPPRESSION_REQUESTS.partitions(gate=1, slots=1)


class Decisions:
    """What becomes of a request, as the partition loop asks for it."""

    def __init__(self, keys: SuppressionKeys) -> None:
        self._keys = keys

    def receive(self, received: Received, now: datetime) -> Sequence[Emission]:
        """An entry, a tombstone, or a dead letter."""
        del now
        try:
            key, entry = entry_for(received.value or b"", self._keys)
        except ValueError as error:
            return [_letter(received, reason=MALFORMED, error=str(error))]
        if entry is not None:
            SUPPRESSED.labels(entry.reason).inc()
        value = None if entry is None else msgspec.json.encode(entry)
        return [Emission(topic=topics.SUPPRESSIONS.name, key=key.encode(), value=value)]

    def reject(self, received: Received, now: datetime, failure: Failure) -> Sequence[Emission]:
        """A request has no outcome of its own: its letter is its end."""
        del now
        return [self.bury(received, failure)]

    def bury(self, received: Received, failure: Failure) -> Emission:
        """The letter of a request that an error of ours stopped."""
        return _letter(received, reason=INTERNAL, error=failure.line, tries=failure.tries)

    def release(self, now: datetime, *, limit: int) -> Sequence[Emission]:
        """Nothing waits."""
        del now, limit
        return []

    def next_release(self, now: datetime) -> datetime | None:
        """Never."""
        del now
        return None


def _letter(received: Received, *, reason: str, error: str, tries: int | None = None) -> Emission:
    letter = DeadLetter(
        role=ROLE,
        topic=received.topic,
        partition=received.partition,
        offset=received.offset,
        key=received.key,
        value=received.value,
        reason=reason,
        error=error,
        tries=tries,
    )
    return Emission(
        topic=topics.DEAD_LETTERS.name,
        key=letter.kept_key(),
        value=letter.kept_value(),
        headers=letter.headers(),
    )


class Feedback:
    """The role."""

    def __init__(self, settings: Settings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._keys = SuppressionKeys(key=load_key(settings, "address_id"), version=settings.secrets.address_id_version)
        self._fuse = fuse_kept_in(state_path(settings, member, "fuse.json"), settings.worker.fuse_share)
        self.app = make_app(ROLE, settings, member=member)
        self._offsets = GroupOffsets(settings.kafka, self.app.conf.id)
        self._threads = ThreadPoolExecutor(_PARTITIONS, thread_name_prefix=ROLE)
        self.ownership = Ownership(self.app, self._partition)

        @self.app.agent(self.app.source(topics.SUPPRESSION_REQUESTS.name), name="feedback-requests")
        async def requests(stream: Any) -> None:
            await self.ownership.take_from(stream)

    def _partition(self, partition: int) -> PartitionLoop:
        return PartitionLoop(
            partition,
            settings=self._settings,
            role=ROLE,
            topics=(topics.SUPPRESSION_REQUESTS.name,),
            changelog=None,
            path=None,
            group=self._offsets,
            executor=self._threads,
            make_decider=lambda _: Decisions(self._keys),
            may_decide=lambda: True,
            on_failure=self.ownership.fail,
            on_worked=self.ownership.resume,
            is_owner=self.ownership.confirmed,
            fuse=self._fuse,
        )

    async def main(self) -> int:
        """Serve until stopped."""
        readiness = worker.Readiness(self._settings, role=ROLE, member=self._member)
        return await worker.serve(self.app, self.ownership, readiness, patience_s=PATIENCE_S)


def run(settings: Settings, member: str) -> None:
    """Run a feedback worker."""
    worker.run(lambda: Feedback(settings, member).main(), switch_s=SWITCH_S)
