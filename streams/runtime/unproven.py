"""Acks that prove nothing: librdkafka says delivered, and the broker never said so.

A producer id that a partition does not know may begin there with any sequence number.  So where a producer's first two
requests to a partition are on their way, and the broker refuses the first (it is about to become the leader: a topic
just made, a broker that restarts) and takes the second, librdkafka infers from the second that the first is there: it
tells success, *implicitly*, and the record is nowhere.  Seen on a topic made seconds before.

Such an ack has no offset.  A true one always has: so who rests anything on an ack takes one without for a failure.
"""

from confluent_kafka import KafkaError, Message


def verdict(error: KafkaError | None, message: Message) -> KafkaError | None:
    """What a delivery report comes to: None where the record is on the broker for certain."""
    if error is None and message.offset() is None:
        return KafkaError(KafkaError._INCONSISTENT, "acked without an offset")  # noqa: SLF001  # librdkafka's name for it
    return error
