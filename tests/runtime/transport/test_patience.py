"""A cluster that does not answer is asked again, with a breath between."""

from __future__ import annotations

import time

import aiokafka

from streams.runtime.transport.patience import BETWEEN_S, patient

ASKS = 4


async def asked(consumer: aiokafka.AIOKafkaConsumer) -> float:
    """Seconds that some asks take where nobody listens, as the fetcher makes them when a partition has no leader."""
    began = time.monotonic()
    for _ in range(ASKS):
        assert not await consumer._client._metadata_update(consumer._client.cluster, set())
    return time.monotonic() - began


async def test_asks_that_fail_at_once_are_a_breath_apart_and_stock_ones_are_not() -> None:
    """Should stock aiokafka wait some day, the override can go."""
    stock, ours = (aiokafka.AIOKafkaConsumer(bootstrap_servers="127.0.0.1:9") for _ in range(2))
    try:
        assert await asked(patient(ours)) >= (ASKS - 1) * BETWEEN_S
        assert await asked(stock) < BETWEEN_S
    finally:
        for consumer in (stock, ours):
            await consumer.stop()
