"""Duty: a lease for each gate partition, renewed each second while a campaign is paced.

A lease holds rates, not budgets, and a dealer spends by one at a time: the newest issued, until it expires.  So what a
worker that was thought dead still writes adds nothing to its successor's: at most it stands in its place, for one
partition, until the successor's next, EVERY_S later, or until it expires, TTL_S after it was issued.
"""

from datetime import datetime
from typing import Final

from agents.control.word import Word
from schemas import topics
from streams.runtime.metrics import LEASES
from streams.runtime.settings import Settings
from streams.spread.leases import equal_leases
from streams.views import World

EVERY_S: Final = 1.0
# A dealer may spend a lease this long after it was issued: three renewals may be lost.
TTL_S: Final = 4.0


class Leasing:
    """Issues the leases."""

    name = "leasing"
    every_s = EVERY_S

    def __init__(self, settings: Settings, world: World, word: Word) -> None:
        self._partitions = settings.kafka.gate_partitions
        self._world = world
        self._word = word

    async def turn(self, now: datetime) -> None:
        """Renew them all."""
        paces = {
            key: campaign.pace_per_s
            for key, campaign in list(self._world.campaigns.items())  # in one step: another thread adds to them
            if campaign.pace_per_s is not None
        }
        if not paces:
            return
        for lease in equal_leases(paces, partitions=self._partitions, now=now, ttl_s=TTL_S):
            await self._word.renew(topics.LEASES, str(lease.gate_partition), lease)
            LEASES.inc()

    async def stand_by(self) -> None:
        """Nothing is remembered."""
