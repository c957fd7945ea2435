"""Outboxes of slot 0 without an owner: the test says facts and effects, and where the slot stands."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.runtime.errors import RuntimeFault
from streams.runtime.partition.group_offsets import Committed, GroupOffsets
from streams.runtime.partition.outbox import Outbox, Position
from streams.runtime.partition.record import Record
from streams.runtime.partition.streaming_producer import StreamingProducer
from streams.runtime.settings import Settings
from tests.runtime.builders import LIMIT_S, read

LANE, JOURNAL, EFFECTS = "sends.marketing", "journal", "deliveries"


def never() -> bool:
    """Something is always under way: commits come by the clock alone."""
    return False


def nothing(_: KafkaException) -> Sequence[Record]:
    """Nothing stands in for what is refused."""
    return []


class Slot:
    """Slot 0's outbox, as its owner holds it."""

    def __init__(
        self,
        settings: Settings,
        *,
        every_s: float = 1.0,
        idle: Callable[[], bool] = never,
        producer: StreamingProducer | None = None,
    ) -> None:
        kafka = settings.kafka
        self.settings = settings
        self.group = GroupOffsets(kafka, f"{kafka.prefix}sender")
        self.producer = producer or StreamingProducer(kafka, f"{kafka.prefix}sender-0")
        self.done = 0
        self.committed = 0
        self.in_group = True
        self.outbox = Outbox(
            self.producer,
            group=self.group,
            name="sender-0",
            position=self._position,
            is_owner=self._is_owner,
            idle=idle,
            every_s=every_s,
        )

    async def _is_owner(self) -> bool:
        return self.in_group

    def _position(self) -> Position:
        done = self.done

        def committed() -> None:
            self.committed = done

        checkpoint = self.record(JOURNAL, b"checkpoint %d" % done)
        return Position(checkpoint=checkpoint, offsets={(self.settings.topic(LANE), 0): done}, committed=committed)

    def record(self, topic: str, value: bytes) -> Record:
        """A record of the slot's partition."""
        return Record(topic=self.settings.topic(topic), key=b"k", value=value, partition=0)

    def fact(self, value: bytes) -> asyncio.Future[int]:
        """Say a fact."""
        return self.outbox.fact(self.record(JOURNAL, value))

    def effect(
        self,
        value: bytes,
        *,
        refused: Callable[[KafkaException], Sequence[Record]] = nothing,
        after: Awaitable[object] | None = None,
    ) -> None:
        """Say an effect, with the outcome that it comes of; one more send is done."""
        self.outbox.effects(
            [self.record(JOURNAL, b"outcome " + value), self.record(EFFECTS, value)], refused=refused, after=after
        )
        self.done += 1

    async def effects(self, *, least: int = 0) -> Counter[bytes]:
        """How often a reader of committed records has each effect."""
        return Counter(await self._read(EFFECTS, "read_committed", least))

    async def journal(self, isolation: str = "read_uncommitted", *, least: int = 0) -> list[bytes]:
        """The journal, as its reader has it."""
        return await self._read(JOURNAL, isolation, least)

    async def _read(self, topic: str, isolation: str, least: int) -> list[bytes]:
        """All records, once there are as many as `least`: a commit is acked before readers can pass its marker."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                messages = await asyncio.to_thread(read, self.settings, topic, isolation=isolation)
                if len(messages) >= least:
                    return [message.value() or b"" for message in messages]

    async def named(self) -> Committed:
        """The lane's committed offset and what is named beside it."""
        topic = self.settings.topic(LANE)
        async with asyncio.timeout(LIMIT_S):
            while (found := await asyncio.to_thread(self.group.committed, [topic], 0)) is None:
                pass
        return found[topic]

    def led(self) -> bool:
        """Whether the broker leads the partitions; until then transactions are aborted for acks that prove nothing."""
        config = {"bootstrap.servers": self.settings.kafka.bootstrap, "group.id": "tests"}
        consumer = Consumer(config)
        try:
            for topic in (JOURNAL, EFFECTS):
                consumer.get_watermark_offsets(TopicPartition(self.settings.topic(topic), 0), timeout=5)
        except KafkaException:
            return False
        finally:
            consumer.close()
        return True

    async def fence(self) -> None:
        """Shut the former owner out."""
        while not await asyncio.to_thread(self.producer.fence):
            pass

    def close(self) -> None:
        """Let the clients go."""
        self.producer.close()
        self.group.close()


@asynccontextmanager
async def taken(slot: Slot) -> AsyncIterator[asyncio.Task[None]]:
    """The slot, fenced and its outbox running, until the block ends; then what is left is given up."""
    while not await asyncio.to_thread(slot.led):
        pass
    await slot.fence()
    slot.done = slot.committed = (await slot.named()).offset
    running = asyncio.create_task(slot.outbox.run())
    try:
        yield running
    finally:
        slot.outbox.close()
        with suppress(RuntimeFault):
            await running
        await asyncio.to_thread(slot.close)


async def until(fact: Callable[[], object], what: str) -> None:
    """Poll for a fact without holding the loop up."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not fact():  # noqa: ASYNC110  # what it looks at tells nobody
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {LIMIT_S:.0f} s") from None
