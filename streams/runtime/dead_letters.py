"""Dead letters: the original bytes, with reason and coordinates as headers.

A record may unpack to more than any record of ours may hold: of that the dead letter has the beginning, since one that
can't be written would stop the role that writes it (G8).
"""

from dataclasses import dataclass
from typing import Final

from schemas.topics import DEAD_LETTER_BYTES, DEAD_LETTER_KEY_BYTES, DEAD_LETTERS
from streams.runtime.logs import mask
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings

MAX_REASON: Final = 500


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A record that can't be used; `topic` is its declared name."""

    role: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: str

    def headers(self) -> dict[str, bytes]:
        """What a reader needs to find the record again and to know why it is here."""
        return {
            "reason": mask(self.reason)[:MAX_REASON].encode(),
            "role": self.role.encode(),
            "source-topic": self.topic.encode(),
            "source-partition": str(self.partition).encode(),
            "source-offset": str(self.offset).encode(),
        }


async def bury(producer: RecordProducer, settings: Settings, letter: DeadLetter) -> None:
    """Write a dead letter and wait until it is durable."""
    key = None if letter.key is None else letter.key[:DEAD_LETTER_KEY_BYTES]
    value = None if letter.value is None else letter.value[:DEAD_LETTER_BYTES]
    future = await producer.send(settings.topic(DEAD_LETTERS.name), value, key=key, headers=letter.headers())
    await future
