"""FEEDBACK: upstream's suppression requests become entries of the suppression list.

A request is decoded, its address named by its keyed hash, and the entry (or, for a lift, its tombstone) written and
awaited; then the request counts as done.  What can't be used is a dead letter with its reason.
"""

import asyncio
from typing import Any

import msgspec
import structlog

from schemas import topics
from streams.feedback.requests import SuppressionKeys, entry_for
from streams.runtime import worker
from streams.runtime.app import make_app
from streams.runtime.dead_letters import DeadLetter, bury
from streams.runtime.keys import load_key
from streams.runtime.ownership import Ownership
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)


class RequestOwner:
    """One partition of suppression-requests: in order, one at a time."""

    def __init__(self, partition: int, feedback: "Feedback") -> None:
        self._partition = partition
        self._feedback = feedback
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._taken = -1
        self._stopping = False
        self._ended = asyncio.Event()

    def put(self, message: Any) -> None:
        """Take a request over, once."""
        if message.offset <= self._taken:
            return
        self._taken = message.offset
        self._feedback.app.ledger.take(message.topic, message.partition, message.offset)
        self._inbox.put_nowait(message)

    def backlog(self, topic: str) -> int:
        """How many requests wait; there is one topic of them."""
        del topic
        return self._inbox.qsize()

    async def run(self) -> None:
        """Work until stopped."""
        try:
            while not self._stopping:
                message = await self._inbox.get()
                if message is None:
                    return
                await self._feedback.handle(message)
                self._feedback.app.ledger.done(message.topic, message.partition, message.offset)
                self._feedback.ownership.resume(self, self._partition)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Finish the request in hand."""
        self._stopping = True
        self._inbox.put_nowait(None)
        await self._ended.wait()


class Feedback:
    """The role."""

    def __init__(self, settings: Settings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._keys = SuppressionKeys(key=load_key(settings, "address_id"), version=settings.secrets.address_id_version)
        self._producer = RecordProducer(settings.kafka, client_id=f"evenpost-{member}")
        self.app = make_app("feedback", settings, member=member)
        self.ownership = Ownership(self.app, lambda partition: RequestOwner(partition, self))

        @self.app.agent(self.app.source(topics.SUPPRESSION_REQUESTS.name), name="feedback-requests")
        async def requests(stream: Any) -> None:
            await self.ownership.take_from(stream)

    async def handle(self, message: Any) -> None:
        """Turn one request into an entry, a tombstone, or a dead letter."""
        try:
            key, entry = entry_for(message.value or b"", self._keys)
        except ValueError as error:
            letter = DeadLetter(
                role="feedback",
                topic=topics.SUPPRESSION_REQUESTS.name,
                partition=message.partition,
                offset=message.offset,
                key=message.key,
                value=message.value,
                reason=str(error),
            )
            await bury(self._producer, self._settings, letter)
            return
        value = None if entry is None else msgspec.json.encode(entry)
        await (await self._producer.send(self._settings.topic(topics.SUPPRESSIONS.name), value, key=key.encode()))

    async def main(self) -> int:
        """Serve until stopped."""
        readiness = worker.Readiness(self._settings, role="feedback", member=self._member)
        code = await worker.serve(self.app, self.ownership, readiness, is_ready=lambda: bool(self.ownership.partitions))
        self._producer.close()
        return code


def run(settings: Settings, member: str) -> None:
    """Run a feedback worker."""
    worker.run(lambda: Feedback(settings, member).main())
