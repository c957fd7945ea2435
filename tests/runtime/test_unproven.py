"""An ack counts where the broker gave it: what librdkafka infers may be nowhere."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message

from streams.runtime.unproven import verdict


def test_an_ack_without_an_offset_is_a_failure() -> None:
    """A true ack has one; an error stays what it is."""
    assert verdict(None, Message(topic="t", offset=0)) is None
    missing = verdict(None, Message(topic="t"))
    assert missing is not None
    assert missing.code() == KafkaError._INCONSISTENT
    error = KafkaError(KafkaError._MSG_TIMED_OUT)
    assert verdict(error, Message(topic="t")) is error
