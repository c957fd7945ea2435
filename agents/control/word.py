"""How a duty publishes: an event, in JSON, under its key."""

import msgspec

from schemas.topics import Topic
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings


class Word:
    """CONTROL's word, by one idempotent producer outside transactions: readers have it within milliseconds."""

    def __init__(self, settings: Settings, producer: RecordProducer) -> None:
        self._settings = settings
        self._producer = producer

    async def give(self, topic: Topic, key: str, event: msgspec.Struct) -> None:
        """Publish, and wait until the broker has it.  Raises KafkaException where it doesn't within two minutes."""
        await (await self._producer.send(self._topic(topic), msgspec.json.encode(event), key=key.encode()))

    async def withdraw(self, topic: Topic, key: str) -> None:
        """Remove what stands under the key (a tombstone), as `give`."""
        await (await self._producer.send(self._topic(topic), None, key=key.encode()))

    async def renew(self, topic: Topic, key: str, event: msgspec.Struct) -> None:
        """Publish what is soon published anew: not awaited, since a broker that is away would hold up all else.

        The producer counts and logs what fails.
        """
        sent = await self._producer.send(self._topic(topic), msgspec.json.encode(event), key=key.encode())
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at: asyncio asks for that

    def _topic(self, topic: Topic) -> str:
        return self._settings.topic(topic.name)
