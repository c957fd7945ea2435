"""Asks the cluster for its metadata again, but not without a breath between.

aiokafka's fetcher asks for metadata for as long as a partition has no leader, one ask right after the other.  A broker
that is starting shows partitions without leaders; if it goes away again in that moment, each ask fails at once: 1,500
a second until it is back, a core of CPU, and two log lines each.  Kafka's own clients wait `retry.backoff.ms`.
"""

import asyncio
import time
from typing import Any, Final

import aiokafka

# Kafka's default of retry.backoff.ms.
BETWEEN_S: Final = 0.1


def patient(consumer: aiokafka.AIOKafkaConsumer) -> aiokafka.AIOKafkaConsumer:
    """The same consumer, with BETWEEN_S from one ask to the next."""
    client: Any = consumer._client  # noqa: SLF001  # aiokafka has no setting for it
    ask = client._metadata_update  # noqa: SLF001  # as above
    last = 0.0

    async def ask_patiently(*arguments: Any) -> bool:
        nonlocal last
        await asyncio.sleep(last + BETWEEN_S - time.monotonic())
        try:
            return bool(await ask(*arguments))
        finally:
            last = time.monotonic()

    client._metadata_update = ask_patiently  # noqa: SLF001  # as above
    return consumer
