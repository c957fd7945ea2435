"""A partition's first and next offset, asked of its leader.

A leader that moves, or of which this client has not heard yet, refuses at first and answers in a moment.
"""

import time
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

LIMIT_S: Final = 30.0
ASK_AGAIN_S: Final = 0.1


def bounds(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """(low, high) watermark.  Raises KafkaException where no leader answers within LIMIT_S."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=LIMIT_S)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(ASK_AGAIN_S)
        else:
            return int(low), int(high)
