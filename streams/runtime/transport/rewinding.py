"""Back to what was fetched and not handed over: aiokafka's positions, moved only backwards.

aiokafka counts a record as consumed when a fetch drains it.  Two ways lead from there to nobody:

1. A fetch under way at a revocation waits, inside aiokafka, for the next assignment, and drains that one's first
   records.  Faust's flow is not active yet, so they are dropped.
2. The flow stops while Faust hands a fetch over.

Faust then seeks to what is committed; where nothing is, aiokafka's seek leaves the position where it was, past the
head of the partition.  So what is dropped is rewound to, and a partition without a commit begins at its head.
All of this runs in aiokafka's thread, where nothing moves a position between two awaits.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError


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
    """Seek each partition to what is committed, or to its head; returns what is committed.

    It waits for a coordinator that is away, and ends with its assignment: it moves nothing of the next one, and raises
    IllegalStateError, for which Faust waits for that one.  aiokafka's own asks for each partition by itself, and moves
    what it learns late in whatever assignment there is.
    """
    here = assignment(consumer)
    if here is None or not here.tps:
        return {}  # a member that stands by
    coordinator: Any = consumer._coordinator  # noqa: SLF001  # the public call asks for one partition
    asked = asyncio.ensure_future(coordinator.fetch_committed_offsets(here.tps))
    try:
        await asyncio.wait({asked, here.unassign_future}, return_when=asyncio.FIRST_COMPLETED)
        if assignment(consumer) is not here:
            raise IllegalStateError("there is another assignment")
        found = await asked
    finally:
        asked.cancel()
    committed = {tp: found[tp].offset if tp in found else None for tp in here.tps}
    for tp, offset in committed.items():
        if offset:
            consumer.seek(tp, offset)
    heads = [tp for tp, offset in committed.items() if not offset]
    if heads:
        await consumer.seek_to_beginning(*heads)
    return committed
