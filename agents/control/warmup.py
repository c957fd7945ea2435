"""Duty: what warming IPs may send today, said once a day for each IP and provider (streams.spread.warmup_ledger)."""

import asyncio
from datetime import datetime
from typing import Final

import structlog

from agents.control.word import Word
from schemas import ids, topics
from schemas.events import WarmupDay
from streams.runtime.metrics import WARMING
from streams.runtime.settings import Settings
from streams.spread.warmup import warmup_terms
from streams.spread.warmup_ledger import Volumes, WarmupLedger
from streams.views import World

log = structlog.get_logger(__name__)

# A new IP's first word: until it is there, gates go by the first day's allowance at a sixteenth of the weight.
EVERY_S: Final = 1.0


class WarmingUp:
    """Says the days."""

    name = "warmup"
    every_s = EVERY_S

    def __init__(self, settings: Settings, world: World, word: Word, volumes: Volumes) -> None:
        self._world = world
        self._word = word
        self._ledger = WarmupLedger(
            egress=world.egress,
            warmups=world.warmups,
            volumes=volumes,
            terms=warmup_terms(settings.warmup.model_dump(exclude_none=True)),
        )

    async def turn(self, now: datetime) -> None:
        """Say what is due."""
        for provider in self._ledger.providers_due(now):
            found = self._ledger.due(provider, now)
            try:
                await asyncio.gather(*map(self._say, found))
            except BaseException:
                self._ledger.forget()  # what did not arrive is due still
                raise
        WARMING.set(sum(1 for one in list(self._world.warmups.values()) if self._limited(one.slot, one.allowance)))

    async def _say(self, day: WarmupDay) -> None:
        await self._word.give(topics.WARMUPS, ids.slot_provider_key(day.slot, day.provider), day)
        log.info(
            "warm-up", slot=day.slot, provider=day.provider, day=day.day, allowance=day.allowance, reason=day.reason
        )

    def _limited(self, slot: int, allowance: int | None) -> bool:
        egress = self._world.egress.get(str(slot))
        return allowance is not None and egress is not None and egress.state == "active" and egress.warmup is not None

    async def stand_by(self) -> None:
        """Another worker says them now."""
        self._ledger.forget()
        WARMING.set(0)
