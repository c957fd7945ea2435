"""One librdkafka producer and the thread that serves its delivery reports.

A *fatal* error ends it: confluent-kafka raises that out of `poll` and `flush`, not only out of `produce`.  What the
client still holds then fails at once, in its own thread, which ends; `RecordProducer` makes a new one.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

# How long the thread sleeps in librdkafka for delivery reports; bounds how late `close` is noticed.
POLL_S = 0.2
# A client given up after a fatal error has nothing to wait for but its own threads.
RETIRE_S = 5.0


class Client:
    """One librdkafka producer and the thread that serves its reports."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.fatal: KafkaError | None = None
        self.producer = Producer(config, error_cb=self._error)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"{config['client.id']}-reports", daemon=True)
        self._thread.start()

    def _error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001  # the name of a public error code
            self.fatal = error

    def _poll(self) -> None:
        while self.fatal is None and not self._closing.is_set():
            self._serve(self.producer.poll, POLL_S)
        if self.fatal is not None:  # nothing of it will be delivered any more: say so at once
            self.producer.purge()
            deadline = time.monotonic() + RETIRE_S
            while len(self.producer) and time.monotonic() < deadline:
                self._serve(self.producer.flush, POLL_S)

    def _serve(self, reports: Callable[[float], int], timeout_s: float) -> None:
        """Poll or flush.  Each raises a fatal error instead of waiting.

        Where a report was served in the same call, confluent-kafka raises SystemError, with the fatal one as its cause.
        """
        try:
            reports(timeout_s)
        except KafkaException as error:
            self.fatal = error.args[0]
        except SystemError as error:
            cause = error.__cause__
            self.fatal = cause.args[0] if isinstance(cause, KafkaException) else KafkaError(KafkaError._FATAL)  # noqa: SLF001  # the name of a public error code

    def flush(self, timeout_s: float) -> None:
        """Send what gathers, and serve reports for so long."""
        self._serve(self.producer.flush, timeout_s)

    def close(self, timeout_s: float) -> int:
        """Wait for what is on its way; returns how many records stayed behind."""
        self.flush(timeout_s)
        self._closing.set()
        self._thread.join(POLL_S * 5)
        return len(self.producer)
