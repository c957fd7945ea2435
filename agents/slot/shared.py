"""What the slots of a sender share."""

from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final

from agents.slot.under_way import Attempt
from schemas import topics
from schemas.events import Send
from streams.compose.message import Message
from streams.delivery.journal import Key
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.routes import Router
from streams.delivery.shaping import Shaping
from streams.runtime.partition.fuse import Fuse
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.points import Points
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from streams.runtime.state.replication import Replication
from streams.views import World

# In the order in which they are served.
LANES: Final = (topics.SENDS_TRANSACTIONAL.name, topics.SENDS_MARKETING.name)


@dataclass(kw_only=True)
class Shared:
    """What the slots of a process share."""

    settings: Settings
    member: str
    world: World
    replication: Replication
    compose: Callable[[Send], Message | None]
    # Writes what no transaction holds back: suppressions, conditions, domains.
    producer: RecordProducer
    router: Router
    shaping: Shaping
    outcome_settings: OutcomeSettings
    group: GroupOffsets
    # Reads journals back: as many at once as it has threads.
    executor: Executor
    fuse: Fuse
    is_owner: Callable[[], Awaitable[bool]]
    # Told that the slot has worked something off.
    worked: Callable[[Any], None]
    # Lets something end on its own.
    in_background: Callable[[Coroutine[Any, Any, None]], None]
    # What is known of attempts, by slot: kept where a slot is given up before Kafka has heard of it.
    known: dict[int, dict[Key, Attempt]] = field(default_factory=dict)
    points: Points | None = None
    # False: neither intents nor outcomes are written, for who measures what they cost (`evenpost bench sender`).
    journals: bool = True
