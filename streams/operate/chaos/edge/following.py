"""What happens meanwhile, from aside: final outcomes as Kafka shows them, messages as the receiver writes them down."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, TopicPartition

from schemas.topics import DELIVERIES
from streams.operate.simulator import Entry
from streams.runtime.clients import librdkafka
from streams.runtime.settings import Settings

_LOOK_S: Final = 0.2
_BATCH: Final = 2_000


class _Final(msgspec.Struct, frozen=True):
    """Of a delivery, what is counted."""

    final: bool
    source_topic: str
    source_partition: int
    source_offset: int


class Finals:
    """A thread that counts the events that have their final outcome, as a reader of committed records sees them."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(
            librdkafka(
                settings.kafka,
                client_id="evenpost-chaos-finals",
                group_id="evenpost-chaos-finals",  # librdkafka wants one; nothing is joined or committed
                isolation_level="read_committed",
                enable_auto_commit=False,
                reconnect_backoff_max_ms=500,
                fetch_wait_max_ms=50,
            )
            | {"log_level": 0, "error_cb": lambda _: None}
        )
        topic = settings.topic(DELIVERIES.name)
        self._consumer.assign([TopicPartition(topic, slot, 0) for slot in range(settings.kafka.slots)])
        self._places: set[tuple[str, int, int]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="finals", daemon=True)
        self.error: BaseException | None = None

    @property
    def count(self) -> int:
        """How many events have one."""
        return len(self._places)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        decode = msgspec.json.Decoder(_Final).decode
        try:
            while not self._stop.is_set():
                messages: list[Any] = self._consumer.consume(_BATCH, timeout=_LOOK_S)
                for message in messages:
                    if message.error() is None:
                        told = decode(message.value())
                        if told.final:
                            self._places.add((told.source_topic, told.source_partition, told.source_offset))
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._consumer.close()


class Arrivals:
    """The receiver's log, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size
        self._rest = b""

    def look(self) -> Iterator[Entry]:
        """What was written since."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            data = log.read()
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield msgspec.json.decode(line, type=Entry)
