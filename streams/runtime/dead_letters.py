"""Dead letters: the original bytes, with reason and coordinates as headers; the same headers from every role.

    reason            why, in words that `dead-letters replay` can choose by: "malformed", "internal error", ...
    error             what was met: a decoder's words, or the last line of a traceback
    tries             how often it was tried; only where an error of ours is the reason
    role              who gave it up
    source-topic, source-partition, source-offset    where the record is, by its topic's declared name

A record may unpack to more than any record of ours may hold: of that the dead letter has the beginning, since one that
can't be written would stop the role that writes it (G8).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.topics import DEAD_LETTER_BYTES, DEAD_LETTER_KEY_BYTES, DEAD_LETTERS
from streams.runtime import metrics
from streams.runtime.logs import mask
from streams.runtime.settings import Settings

if TYPE_CHECKING:
    from streams.runtime.producer import RecordProducer  # rooms that know no Kafka make letters too

MAX_REASON: Final = 500
# A decoder's or a library's words may quote what it met.
MAX_ERROR: Final = 500
INTERNAL: Final = "internal error"
MALFORMED: Final = "malformed"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An error of ours about one event, after the last try."""

    error: Exception
    tries: int = 1

    @property
    def line(self) -> str:
        """The traceback's last line: type and message, of a message in lines the first."""
        return f"{self.name}: {self.error}".partition("\n")[0]

    @property
    def name(self) -> str:
        """The error's type."""
        return type(self.error).__name__


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
    error: str = ""
    tries: int | None = None

    def headers(self) -> dict[str, bytes]:
        """What a reader needs to find the record again and to know why it is here."""
        headers = {
            "reason": _told(self.reason, MAX_REASON),
            "role": self.role.encode(),
            "source-topic": self.topic.encode(),
            "source-partition": str(self.partition).encode(),
            "source-offset": str(self.offset).encode(),
        }
        if self.error:
            headers["error"] = _told(self.error, MAX_ERROR)
        if self.tries is not None:
            headers["tries"] = str(self.tries).encode()
        return headers

    def kept_key(self) -> bytes | None:
        """The original key, as far as it fits."""
        return None if self.key is None else self.key[:DEAD_LETTER_KEY_BYTES]

    def kept_value(self) -> bytes | None:
        """The original value, as far as it fits."""
        return None if self.value is None else self.value[:DEAD_LETTER_BYTES]


def _told(text: str, limit: int) -> bytes:
    # Mask first, cut then: a cut address would not be known as one.
    return mask(text).encode("utf-8", "replace")[:limit]


async def bury(producer: "RecordProducer", settings: Settings, letter: DeadLetter) -> None:
    """Write a dead letter and wait until it is durable."""
    topic = settings.topic(DEAD_LETTERS.name)
    await (await producer.send(topic, letter.kept_value(), key=letter.kept_key(), headers=letter.headers()))
    metrics.DEAD_LETTERS.labels(letter.topic).inc()
