"""What upstream systems say: declarations first, then mail as fast as it ends, and changes of mind on the way.

1. `declare`: tenants, IPs, campaigns and those who are suppressed beforehand; `missing` says what is not in force yet.
2. `Upstream`, a thread: the next group of people whenever few enough events are without their end; who leaves says so
   right after a mail of its own; every few seconds a campaign is paused or a slot drained, and goes on a little later.
3. `finish`: no more people, everything running.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from schemas import ids
from schemas.topics import (
    CAMPAIGNS,
    CONTENTS,
    EGRESS,
    RECIPIENTS_MARKETING,
    RECIPIENTS_TRANSACTIONAL,
    SUPPRESSION_REQUESTS,
    SUPPRESSIONS,
    TENANTS,
    Topic,
)
from streams.operate.chaos.edge import people, scene
from streams.operate.chaos.edge.people import Group
from streams.runtime.cluster import Publisher, read_all, read_world
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings

# Events without their end before the next group comes: some seconds of work, so that each blow meets mail everywhere.
BACKLOG: Final = 400
# Events a second at most: two cores have processes to start beside it.
PER_S: Final = 150.0
# Events of a run at most, however long it takes.
MOST: Final = 200_000
# Seconds between two changes of mind, and until the change is taken back.
CHANGE_EVERY_S: Final = 5.0
CHANGE_LASTS_S: Final = 2.0
# For so long a record is tried: a killed broker on a machine with other work has been away for four minutes.
KEPT_MS: Final = 600_000
_STEP_S: Final = 0.05
_TOPICS: Final = {"marketing": RECIPIENTS_MARKETING, "transactional": RECIPIENTS_TRANSACTIONAL}
_PAUSED: Final = tuple(mailing for mailing in scene.MAILINGS if mailing.kind == "marketing")


def declare(settings: Settings, barred: tuple[tuple[str, str], ...]) -> None:
    """Write all that must be known before the first recipient."""
    with Publisher(settings) as publisher:
        for slot in range(scene.SLOTS):
            publisher.send(EGRESS, str(slot), scene.egress(slot))
        for tenant in scene.tenants():
            publisher.send(TENANTS, tenant.tenant, tenant)
        for tenant_id, address in barred:
            request = people.request(tenant_id, address, datetime.now(UTC))
            publisher.send(SUPPRESSION_REQUESTS, request.scope, request)
        for mailing in scene.MAILINGS:
            publisher.send(CAMPAIGNS, mailing.key, scene.campaign(mailing))


def missing(settings: Settings, barred: tuple[tuple[str, str], ...]) -> list[str]:
    """What CONTROL and FEEDBACK have not made of it yet, in words."""
    world = read_world(settings, TENANTS, CAMPAIGNS, CONTENTS)
    waits: list[str] = []
    for mailing in scene.MAILINGS:
        campaign = world.campaigns.get(mailing.key)
        content = campaign and world.content(campaign)
        if content is None or content.state != "compiled":
            waits.append(f"{mailing.key} is not compiled")
    entries = sum(record.value is not None for record in read_all(settings, SUPPRESSIONS))
    if entries < len(barred):
        waits.append(f"{len(barred) - entries} of {len(barred)} suppressions")
    return waits


class Upstream:
    """A thread that produces; `sent` events, of which `arrived` are on the broker."""

    def __init__(self, settings: Settings, *, seed: int, finals: Callable[[], int]) -> None:
        self._settings = settings
        self._groups = people.groups(seed)
        self._finals = finals
        self._stop = threading.Event()
        self._finish = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="upstream", daemon=True)
        self.planned: list[people.PlannedEvent] = []
        self.stories: Counter[str] = Counter()
        self.sent = 0
        self.arrived = 0
        self.pauses = 0
        self.drains = 0
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """No more people, and everything running again."""
        self._finish.set()

    @property
    def done(self) -> bool:
        """Whether all that was asked for is on the broker, and nothing is paused or drained any more."""
        return not self._thread.is_alive() and self.arrived == self.sent

    def stop(self) -> None:
        """End, whatever is on its way."""
        self._finish.set()
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    async def _run(self) -> None:
        producer = RecordProducer(
            self._settings.kafka,
            client_id="evenpost-chaos-upstream",
            log_level=0,
            delivery_timeout_ms=KEPT_MS,
        )
        try:
            changes = asyncio.create_task(self._change(producer))
            await self._ask(producer)
            await changes
            while self.arrived < self.sent and not self._stop.is_set():  # noqa: ASYNC110  # counted by reports
                await asyncio.sleep(_STEP_S)
        except BaseException as error:
            self.error = error
            raise
        finally:
            producer.close()

    async def _ask(self, producer: RecordProducer) -> None:
        began = time.monotonic()
        while not self._finish.is_set() and self.sent < MOST:
            allowed = (time.monotonic() - began) * PER_S
            if self.sent - self._finals() < BACKLOG and self.sent < allowed:
                await self._group(producer, next(self._groups))
            else:
                await asyncio.sleep(_STEP_S)

    async def _group(self, producer: RecordProducer, group: Group) -> None:
        self.planned += group.events
        self.stories.update(one.story for one in group.events)
        self.sent += len(group.events)
        reports = [await self._send(producer, _TOPICS[one.kind], one.key, one.body) for one in group.events]
        for report in reports:
            report.add_done_callback(self._arrived)
        for tenant, address in group.leaving:
            request = people.request(tenant, address, datetime.now(UTC))
            await self._send(producer, SUPPRESSION_REQUESTS, request.scope, request)

    def _arrived(self, report: "asyncio.Future[int]") -> None:
        if not report.cancelled() and report.exception() is None:
            self.arrived += 1

    async def _change(self, producer: RecordProducer) -> None:
        """Pause, drain, pause, drain, each in turn of what there is."""
        for turn, (topic, key, closed, opened) in enumerate(_changes()):
            if not await self._waited(CHANGE_EVERY_S):
                return
            await self._send(producer, topic, key, closed)
            await self._waited(CHANGE_LASTS_S)
            await (await self._send(producer, topic, key, opened))
            self.pauses += turn % 2 == 0
            self.drains += turn % 2

    async def _waited(self, seconds: float) -> bool:
        """Wait so long; whether nobody wanted to finish meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._finish.is_set():  # noqa: ASYNC110  # another thread's event
            await asyncio.sleep(_STEP_S)
        return not self._finish.is_set()

    async def _send(
        self, producer: RecordProducer, topic: Topic, key: str, value: msgspec.Struct | bytes
    ) -> "asyncio.Future[int]":
        body = msgspec.json.encode(value) if isinstance(value, msgspec.Struct) else value
        return await producer.send(self._settings.topic(topic.name), body, key=key.encode())


def _changes() -> Iterator[tuple[Topic, str, Any, Any]]:
    """Topic, key, the closed state and the open one."""
    turn = 0
    while True:
        mailing, slot = _PAUSED[turn % len(_PAUSED)], turn % scene.SLOTS
        key = ids.campaign_key(mailing.tenant, mailing.campaign)
        yield CAMPAIGNS, key, scene.campaign(mailing, state="paused"), scene.campaign(mailing)
        yield EGRESS, str(slot), scene.egress(slot, drained=True), scene.egress(slot)
        turn += 1
