"""Offsets as librdkafka tells them: each partition of an answer may carry an error of its own."""

from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicPartition


def known(answer: Iterable[TopicPartition]) -> list[TopicPartition]:
    """The answer, where it is one for every partition.  Raises KafkaException for the first that it is not."""
    partitions = list(answer)
    for tp in partitions:
        if tp.error is not None:
            raise KafkaException(tp.error)
    return partitions
