"""An offset that is not known is not "none committed"."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.runtime.offsets import known


class Answered(TopicPartition):
    """A partition of an answer, with its own error."""

    error: KafkaError | None = None


def test_a_whole_answer_is_passed_on() -> None:
    """Also a partition without a commit is an answer."""
    answer = [TopicPartition("t", 0, 7), TopicPartition("t", 1)]
    assert known(answer) == answer


def test_one_partition_without_an_answer_is_an_error() -> None:
    """Its offset would read as "nothing committed yet", and the partition would be done again from the beginning."""
    silent = Answered("t", 1)
    silent.error = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)
    with pytest.raises(KafkaException):
        known([TopicPartition("t", 0, 7), silent])
