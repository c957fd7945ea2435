"""Tells what a process's slots learned of their providers: `conditions`, an idempotent producer's, in no transaction.

A word that did not arrive is told again; of two owners of a slot, one of whom does not know that it was fenced, the
later word counts, and the new owner's comes again within half a minute.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import structlog
from confluent_kafka import KafkaException

from agents.slot.owner import SlotOwner
from agents.slot.shaping import shown
from schemas import topics
from schemas.events import Condition
from streams.runtime.metrics import PROVIDERS_TROUBLED
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)

# Seconds between two looks: a provider's block is known to the dealers before what it blocked is dealt again (2 s).
EVERY_S: Final = 0.5
_encode = msgspec.json.Encoder().encode


class Telling:
    """One process's."""

    def __init__(self, settings: Settings, producer: RecordProducer, slots: Callable[[], Iterable[SlotOwner]]) -> None:
        self._topic = settings.topic(topics.CONDITIONS.name)
        self._producer = producer
        self._slots = slots

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.tell()
            except Exception:  # nobody awaits this: unheard, the dealers would hear of no limit any more
                log.exception("conditions can't be told, tried again")
            await asyncio.sleep(EVERY_S)

    async def tell(self) -> None:
        """All that is news, once it has arrived."""
        troubled: Counter[tuple[str, str]] = Counter()
        said = []
        for slot in self._slots():
            for key, condition in slot.shaper.conditions().items():
                value = None if condition is None else _encode(condition)
                said.append((slot, key, await self._producer.send(self._topic, value, key=key.encode())))
                _log(slot.slot, key, condition)
            for provider, health in slot.shaper.limits.troubled().items():
                troubled[shown(provider), health] += 1
        PROVIDERS_TROUBLED.clear()
        for (provider, health), number in troubled.items():
            PROVIDERS_TROUBLED.labels(provider, health).set(number)
        for slot, key, arrived in said:
            try:
                await arrived
            except KafkaException as error:
                log.warning("condition not told yet", key=key, error=str(error))
                slot.shaper.limits.untold(key.partition("/")[2])


def _log(slot: int, key: str, condition: Condition | None) -> None:
    if condition is not None:
        log.info(
            "condition told",
            slot=slot,
            provider=key.partition("/")[2],
            health=condition.health,
            rate_per_s=condition.rate_per_s and round(condition.rate_per_s, 3),
            until=condition.until and condition.until.isoformat(),
        )
