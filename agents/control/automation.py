"""Duty: watches deliveries; tells incidents, sets and lifts automation's controls, publishes volumes.

1. Take over: read what was told before (incidents, volumes), then the deliveries again from where the spans' figures
   may not have been whole (`volumes.recount_from`); a rule's window reaches back less far.
2. A turn reads what came and says what fired: the control first, then its incident.  A crash between the two leaves a
   control without an incident, and the next owner makes it from the control, under the same id.
3. Once it has caught up it looks every LOOK_S for surges and fuses, and publishes, PUBLISHED times a span, the volumes
   that moved.
4. Controls of automation whose time is up are removed; readers don't wait for that, they honour `until` themselves.

What can't be written stays at the head of its line until it is: a turn that failed goes on where it was.
"""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Final

import structlog

from agents.control import told_before
from agents.control.counting import Counting
from agents.control.word import Word
from schemas import ids, topics
from schemas.events import Incident
from streams.control.coming import waiting
from streams.control.firing import told_by
from streams.control.history import History
from streams.control.loading import load
from streams.control.volumes import recount_from, span_of, volume_key
from streams.control.watch import Watch, over, standing, untold
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.following import Following
from streams.runtime.metrics import AUTOMATION_LAG, EVENTS, INCIDENTS, LATE_DELIVERIES
from streams.runtime.settings import Settings
from streams.views import World

log = structlog.get_logger(__name__)

LOOK_S: Final = 5.0
# Volumes are published so many times a span, of an hour each minute: that shows nowhere in what they are compared with.
PUBLISHED: Final = 60
# A cluster that was away for longer than this has spans that stay uncounted; a day of deliveries is read in minutes.
RECOUNT: Final = timedelta(hours=24)
# Records are stamped by whoever wrote them, deliveries by the sender that made them: clocks differ by less.
MARGIN: Final = timedelta(minutes=1)
# Records whose writing is awaited together.
AT_ONCE: Final = 500


class Automation:
    """The deliveries' watcher."""

    name = "automation"
    every_s = 0.05  # a read waits by itself

    def __init__(self, settings: Settings, world: World, word: Word, *, member: str) -> None:
        """Raises RuleFault where the rules can't be meant."""
        self._settings = settings
        self._world = world
        self._word = word
        self._client_id = f"evenpost-{member}-deliveries"
        self._terms = load(settings.control.automation)
        # What went on earlier days; for other duties to read.
        self.history = History(self._terms.volumes)
        self._counting: Counting | None = None
        # Until when the controls stand that were written here: the view of them may be of a moment ago.
        self._standing: dict[str, datetime] = {}

    async def turn(self, now: datetime) -> None:
        """Read, and say what follows."""
        if self._counting is None:
            try:
                self._counting = await self._take_over(now)
            except ClusterUnreachableError as error:
                log.warning("deliveries are not watched yet", error=str(error))
                return
        counting = self._counting
        await self._say(counting, now)
        late = counting.watch.late
        EVENTS.labels(topics.DELIVERIES.name).inc(await asyncio.to_thread(counting.read))
        LATE_DELIVERIES.inc(counting.watch.late - late)
        reached = counting.reader.reached(now)
        AUTOMATION_LAG.set(max((now - reached).total_seconds(), 0.0))
        if reached >= counting.taken_at:
            self._look(counting, now)
            await self._publish(counting, reached, now)
        await self._say(counting, now)
        await self._lift(now)

    async def stand_by(self) -> None:
        """Another worker counts: forget what was counted here."""
        counting, self._counting = self._counting, None
        self._standing.clear()
        self.history.clear()
        if counting is not None:
            await asyncio.to_thread(counting.reader.close)

    async def _take_over(self, now: datetime) -> Counting:
        told = await asyncio.to_thread(told_before.incidents, self._settings)
        self.history.clear()
        stale = await asyncio.to_thread(told_before.volumes, self._settings, self.history, self._terms.volumes, now)
        since = recount_from(self.history.latest, now, self._terms.volumes, at_most=RECOUNT)
        watch = Watch(self._terms, self.history, since=since, now=now)
        controls = dict(self._world.controls)
        missing = untold(controls, {incident.incident_id for incident in told}, now)
        for incident in [*told, *filter(None, map(told_by, controls.values()))]:
            watch.remember(incident)
        reader = await asyncio.to_thread(
            lambda: Following(
                self._settings,
                topics.DELIVERIES,
                since=min(since, watch.acts_since) - MARGIN,
                client_id=self._client_id,
            )
        )
        log.info("deliveries are watched", since=since.isoformat(), incidents=len(told), untold=len(missing))
        counting = Counting(watch=watch, reader=reader, taken_at=now)
        counting.incidents.extend(missing)
        counting.withdrawn.extend(stale)
        return counting

    def _look(self, counting: Counting, now: datetime) -> None:
        if time.monotonic() - counting.looked_at < LOOK_S:
            return
        counting.looked_at = time.monotonic()
        terms = self._terms.volumes
        paces = {
            key: campaign.pace_per_s
            for key, campaign in list(self._world.campaigns.items())  # in one step: another thread adds to them
            if campaign.pace_per_s is not None
        }
        demands = list(self._world.demands.values())
        coming = waiting(demands, paces, now=now, ends=span_of(now, terms) + terms.span)
        counting.firings += counting.watch.look(coming, now)

    async def _publish(self, counting: Counting, reached: datetime, now: datetime) -> None:
        if time.monotonic() - counting.published_at < self._terms.volumes.span.total_seconds() / PUBLISHED:
            return
        counting.volumes |= {volume_key(volume): volume for volume in counting.watch.changed()}
        counting.watch.close(reached)
        counting.withdrawn.extend(map(volume_key, self.history.expire(now)))
        for keys in _parts(list(counting.volumes)):
            await asyncio.gather(*(self._word.give(topics.VOLUMES, key, counting.volumes[key]) for key in keys))
            for key in keys:
                del counting.volumes[key]
        while counting.withdrawn:
            keys = [counting.withdrawn[at] for at in range(min(AT_ONCE, len(counting.withdrawn)))]
            await asyncio.gather(*(self._word.withdraw(topics.VOLUMES, key) for key in keys))
            for _ in keys:
                counting.withdrawn.popleft()
        counting.published_at = time.monotonic()

    async def _say(self, counting: Counting, now: datetime) -> None:
        """Write what fired, in order, each control before its incident."""
        while counting.firings:
            firing = standing(counting.firings[0], now)
            if firing.control is not None:
                key = ids.control_key(firing.control)
                await self._word.give(topics.CONTROLS, key, firing.control)
                if firing.control.until is not None:
                    self._standing[key] = firing.control.until
            await self._tell(firing.incident)
            counting.firings.popleft()
        while counting.incidents:
            await self._tell(counting.incidents[0])
            counting.incidents.popleft()

    async def _tell(self, incident: Incident) -> None:
        await self._word.give(topics.INCIDENTS, f"{incident.scope}/{incident.key}", incident)
        INCIDENTS.labels(incident.rule).inc()
        log.warning(
            "incident",
            rule=incident.rule,
            scope=incident.scope,
            key=incident.key,
            action=incident.action,
            value=incident.value,
            until=incident.until and incident.until.isoformat(),
        )

    async def _lift(self, now: datetime) -> None:
        """Remove automation's controls that are over; of one written here since, the view may show the former."""
        for key in over(dict(self._world.controls), now):
            if self._standing.get(key, now) <= now:
                self._standing.pop(key, None)
                await self._word.withdraw(topics.CONTROLS, key)


def _parts(keys: list[str]) -> list[list[str]]:
    return [keys[at : at + AT_ONCE] for at in range(0, len(keys), AT_ONCE)]
