"""The worker: reads upstream's word as a member of its group, and runs its duties while it is the active one."""

import asyncio
import time
from typing import Final

import structlog

from agents.control.automation import Automation
from agents.control.contents import Contents
from agents.control.duty import Duty, Rounds
from agents.control.leasing import Leasing
from agents.control.unreadable import Unreadable
from agents.control.warmup import WarmingUp
from agents.control.word import Word
from agents.views import replicate
from schemas import topics
from streams.runtime.group import GroupReader
from streams.runtime.life import worker
from streams.runtime.life.stopping import Stop
from streams.runtime.life.vigil import Vigil
from streams.runtime.life.vitals import Condition, Vitals, turns, views_condition
from streams.runtime.metrics import ACTIVE, EVENTS
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)

VIEWS = (
    topics.CAMPAIGNS,
    topics.TENANTS,
    topics.CONTENTS,
    topics.CONTROLS,
    topics.EGRESS,
    topics.DEMANDS,
    topics.WARMUPS,
    topics.CONDITIONS,
)
# Not LEASES: what this worker holds back by them has its weight here (streams.control.granting).
CHECKED = (topics.CAMPAIGNS, topics.TENANTS, topics.EGRESS)
TICK_S: Final = 0.2
# One turn compiles what is missing: 2 MB of HTML take seconds, and a thousand campaigns at a first start are as many
# seconds.  A producer gives a record up after 120 s, and while the broker is away the views are not current.
PATIENCE_S: Final = 1_800.0


class Control:
    """The role."""

    def __init__(self, settings: Settings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._world, self._replication = replicate(settings, member, VIEWS)
        self._producer = RecordProducer(settings.kafka, client_id=f"evenpost-{member}")
        self._reader = GroupReader(settings, "control", CHECKED, client_id=f"evenpost-{member}", name=member)
        self._unreadable = Unreadable(settings, self._producer)
        word = Word(settings, self._producer)
        automation = Automation(settings, self._world, word, member=member)
        duties: tuple[Duty, ...] = (
            Contents(settings, self._world, word),
            Leasing(settings, self._world, word),
            automation,
            WarmingUp(settings, self._world, word, automation.history),
        )
        self._rounds = Rounds(duties, active=self._active)
        # When (monotonic) the group's word on who is active was heard last.
        self._heard = time.monotonic()

    async def main(self) -> int:
        """Serve until stopped."""
        readiness = worker.Readiness(self._settings, role="control", member=self._member)
        stop = Stop(self._settings.worker.sigterm).listen()
        async with Vigil(self._settings, readiness, self._vitals()) as vigil:
            vigil.announce_when(lambda: True)
            async with self._rounds:
                while not stop.is_set():
                    await self._read()
            vigil.ending(leaves=stop.how == "scale-in")
            log.info("stopping", how=stop.how)
            await asyncio.to_thread(self._reader.close)
            if stop.how == "scale-in":
                await self._reader.leave()
        self._replication.close()
        self._producer.close()
        return 0

    async def _read(self) -> None:
        self._replication.check()
        self._rounds.check()
        records = await asyncio.to_thread(self._reader.read, TICK_S)
        self._heard = time.monotonic()
        for record in records:
            await self._unreadable.check(record)
            EVENTS.labels(str(record.topic()).removeprefix(self._settings.kafka.prefix)).inc()
        await asyncio.to_thread(self._reader.commit)
        ACTIVE.set(self._active())

    def _active(self) -> bool:
        """Not before the group was heard, where this process did not run for so long that another may be active."""
        heard = time.monotonic() - self._heard < self._settings.kafka.session_timeout_s
        return heard and self._reader.owns(topics.CAMPAIGNS.name, 0)

    def _vitals(self) -> Vitals:
        patience_s = self._settings.worker.stalled_s or PATIENCE_S
        return Vitals(
            conditions=lambda: (self._owned(), views_condition(self._replication)),
            progress=lambda: (*self._reader.progress(), turns("control", self._rounds.count, patience_s=patience_s)),
            held=lambda: None if self._replication.fresh() else "views are not current",
        )

    def _owned(self) -> Condition:
        return Condition(name="owned", ok=True, detail="active" if self._active() else "stands by")


def run(settings: Settings, member: str) -> None:
    """Run a control worker."""
    worker.run(lambda: Control(settings, member).main())
