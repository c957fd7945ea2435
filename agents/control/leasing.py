"""Duty: a lease for each gate partition, each second: rates, by what waits at the gates and in the slots' queues.

A lease holds rates, not budgets, and a dealer spends by one at a time: the newest issued, until it expires.  So what a
worker that was thought dead still writes adds nothing to its successor's: at most it stands in its place, for one
partition, until the successor's next, EVERY_S later, or until it expires, TTL_S after it was issued.

While the brokers are away nothing is read and nothing is written: leases expire, and marketing and paced mail wait.
"""

import asyncio
import time
from datetime import datetime
from typing import Final

import structlog

from agents.control.word import Word
from schemas import topics
from streams.control.granting import Granting
from streams.delivery.shaping import load
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.metrics import LEASES, POOL_GRANT, POOL_QUEUE, QUEUE_READ_FAILURES, SLOTS_HELD
from streams.runtime.settings import Settings
from streams.runtime.slot_queues import SlotQueues
from streams.spread.leases import Grants, leases
from streams.views import World

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
# A dealer may spend a lease this long after it was issued: three renewals may be lost.
TTL_S: Final = 4.0


class Leasing:
    """Issues the leases."""

    name = "leasing"
    every_s = EVERY_S

    def __init__(self, settings: Settings, world: World, word: Word) -> None:
        """Raises ShapingFileError where the limits can't be meant."""
        self._settings = settings
        self._partitions = settings.kafka.gate_partitions
        self._world = world
        self._word = word
        self._shaping = load(settings.smtp.shaping)
        self._granting = Granting(world, self._shaping)
        self._queues: SlotQueues | None = None
        self._held: tuple[int, ...] = ()

    async def turn(self, now: datetime) -> None:
        """Read the queues and renew all leases."""
        await self._read(now)
        grants = self._granting.grants(now, time.monotonic())
        self._tell(grants, now)
        demands = {one.gate_partition: one for one in list(self._world.demands.values())}
        for lease in leases(grants, demands, partitions=self._partitions, now=now, ttl_s=TTL_S):
            await self._word.renew(topics.LEASES, str(lease.gate_partition), lease)
            LEASES.inc()

    async def stand_by(self) -> None:
        """What the queues did meanwhile is not known."""
        queues, self._queues = self._queues, None
        self._granting = Granting(self._world, self._shaping)
        POOL_GRANT.clear()
        POOL_QUEUE.clear()
        SLOTS_HELD.set(0)
        if queues is not None:
            await asyncio.to_thread(queues.close)

    async def _read(self, now: datetime) -> None:
        if self._queues is None:
            self._queues = SlotQueues(self._settings)
        try:
            found = await asyncio.to_thread(self._queues.read, self._granting.slots())
        except ClusterUnreachableError as error:
            QUEUE_READ_FAILURES.inc()
            log.warning("the slots' queues are not told", error=str(error))
            return
        self._granting.read(found, now, time.monotonic())

    def _tell(self, grants: Grants, now: datetime) -> None:
        for pool, rate in grants.pools.items():
            POOL_GRANT.labels(pool).set(rate)
            POOL_QUEUE.labels(pool).set(self._granting.queue_s(pool, now))
        SLOTS_HELD.set(len(grants.held))
        if grants.held != self._held:
            log.warning("slots are held: their senders stand still", held=grants.held, before=self._held)
            self._held = grants.held
