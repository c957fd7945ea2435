"""A partition's first and next offset, asked of its leader.

A leader that moves, or of which this client has not heard yet, refuses at first and answers in a moment.
"""

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

LIMIT_S: Final = 30.0
ASK_AGAIN_S: Final = 0.1
# One ask: a busy leader answers within a second, and who is told to stop waits no longer than this.
ASK_S: Final = 3.0


def bounds(
    consumer: Consumer, topic: str, partition: int, *, go_on: Callable[[], bool] = lambda: True
) -> tuple[int, int]:
    """(low, high) watermark.  Raises KafkaException where no leader answers within LIMIT_S, or while `go_on` holds."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ASK_S)
        except KafkaException:
            if time.monotonic() > deadline or not go_on():
                raise
            time.sleep(ASK_AGAIN_S)
        else:
            return int(low), int(high)
