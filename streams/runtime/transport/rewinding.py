"""Back to what was fetched and not handed over: aiokafka's positions, moved only backwards.

aiokafka counts a record as consumed when a fetch drains it.  Two ways lead from there to nobody:

1. A fetch under way at a revocation waits, inside aiokafka, for the next assignment, and drains that one's first
   records.  Faust's flow is not active yet, so they are dropped.
2. The flow stops while Faust hands a fetch over.

Faust then seeks to what is committed; where nothing is, aiokafka's seek leaves the position where it was, past the
head of the partition.  So what is dropped is rewound to, and a partition without a commit begins at its head.
All of this runs in aiokafka's thread, where nothing moves a position between two awaits.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition


def firsts(records: Iterable[tuple[Any, Any]]) -> dict[TopicPartition, int]:
    """The first offset of each partition."""
    found: dict[TopicPartition, int] = {}
    for tp, record in records:
        at = TopicPartition(tp.topic, tp.partition)
        found[at] = min(record.offset, found.get(at, record.offset))
    return found


def assignment(consumer: AIOKafkaConsumer) -> Any:
    """What aiokafka is assigned now: an object of its own for each assignment, None before the first."""
    subscription = consumer._subscription.subscription  # noqa: SLF001  # the public copy can't tell two alike apart
    return None if subscription is None else subscription.assignment


def rewind(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int], *, fetched_of: Any) -> None:
    """Back to these, if the assignment that they were fetched of stands: a new one begins at what is committed."""
    if fetched_of is None or assignment(consumer) is not fetched_of:
        return
    for tp, offset in offsets.items():
        state = fetched_of.state_value(tp)
        if state is not None and state.has_valid_position and state.position > offset:
            consumer.seek(tp, offset)


async def to_committed(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int | None]:
    """Seek each partition to what is committed, or to its head; returns what is committed."""
    if not consumer.assignment():
        return {}  # a member that stands by; aiokafka asserts
    committed: dict[TopicPartition, int | None] = await consumer.seek_to_committed()
    heads = [tp for tp, offset in committed.items() if not offset or offset < 0]
    if heads:
        await consumer.seek_to_beginning(*heads)
    return committed
