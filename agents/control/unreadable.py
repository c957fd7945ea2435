"""What upstream wrote in a form that no view can read is a dead letter, once: the group's offsets say how far."""

from typing import Any

import structlog

from streams.runtime.dead_letters import MALFORMED, DeadLetter, bury
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from streams.views import BadRecordError, World

log = structlog.get_logger(__name__)


class Unreadable:
    """Looks at each record of upstream's compacted topics."""

    def __init__(self, settings: Settings, producer: RecordProducer) -> None:
        self._settings = settings
        self._producer = producer

    async def check(self, record: Any) -> None:
        """Bury the record (confluent_kafka's Message) where no view can read it."""
        name = record.topic().removeprefix(self._settings.kafka.prefix)
        key = (record.key() or b"").decode("utf-8", "replace")
        try:
            World(slots=self._settings.kafka.slots).apply(name, key, record.value())
        except BadRecordError as bad:
            log.warning("upstream record can't be used", topic=name, offset=record.offset(), reason=bad.reason)
            letter = DeadLetter(
                role="control",
                topic=name,
                partition=record.partition(),
                offset=record.offset(),
                key=record.key(),
                value=record.value(),
                reason=MALFORMED,
                error=str(bad),
            )
            await bury(self._producer, self._settings, letter)
