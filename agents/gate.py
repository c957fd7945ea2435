"""GATE: the one dealer.  Each partition decides its three sources in transactions (`PartitionLoop`), by the `Desk`.

Transactional recipients are decided first, then what comes back, then marketing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
from prometheus_client import Counter as Metric

from agents.views import replicate
from schemas import topics
from schemas.events import Demand
from streams.gate.desk import Desk, DeskSettings, Emission, Source
from streams.gate.looks import Looks
from streams.gate.outcomes import failed_letter
from streams.runtime.app import make_app
from streams.runtime.dead_letters import Failure
from streams.runtime.keys import load_key
from streams.runtime.life import worker
from streams.runtime.metrics import FORGOTTEN, ODDITIES, OUTCOMES, WAITING
from streams.runtime.partition.fuse_file import fuse_kept_in
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.ownership import Ownership
from streams.runtime.partition.partition_loop import PartitionLoop, Received
from streams.runtime.partition.slices import SWITCH_S
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from streams.runtime.state.local_state import state_path
from streams.runtime.state.tables import PartitionTable

VIEWS = (
    topics.TENANTS,
    topics.CAMPAIGNS,
    topics.CONTENTS,
    topics.CONTROLS,
    topics.EGRESS,
    topics.CONDITIONS,
    topics.LEASES,
    topics.WARMUPS,
    topics.DOMAINS,
    topics.SUPPRESSIONS,
)
SOURCES: Final = (topics.RECIPIENTS_TRANSACTIONAL.name, topics.RETURNS.name, topics.RECIPIENTS_MARKETING.name)

# A demand is told anew within two seconds: one that can't be delivered in five is of no use any more.
DEMAND_TIMEOUT_MS: Final = 5_000


class Decisions:
    """The desk, as the partition loop calls it."""

    def __init__(self, desk: Desk, tell: Callable[[Demand], None]) -> None:
        """`tell` CONTROL of what waits for credit; outside of the batch's transaction."""
        self._desk = desk
        self._tell_demand = tell
        self._told: Counter[str] = Counter()
        self._forgotten = 0
        self._looks = Looks()

    def receive(self, received: Received, now: datetime) -> Sequence[Emission]:
        """Decide one event."""
        self._looks.came()
        return self._desk.receive(_source(received), received.value, now)

    def next_release(self, now: datetime) -> datetime | None:
        """When to look at what waits again; None when nothing does."""
        return (self._looks.again or now) if self._desk.waiting else None

    def release(self, now: datetime, *, limit: int) -> Sequence[Emission]:
        """Decide what waited and is due; and, as this ends a batch, tell what waits and was counted, and sweep."""
        released: Sequence[Emission] = ()
        if self._looks.due(now):
            released = self._desk.release(now, limit=limit)
            self._looks.looked(now, self._desk.next_release(now), lines=self._desk.lines)
            if len(released) >= limit:
                self._looks.at_once()
        if (demand := self._desk.demand(now)) is not None:
            self._tell_demand(demand)
        self._desk.sweep(now)
        self._tell(ODDITIES, self._desk.counters)
        self._tell(OUTCOMES, self._desk.outcome_types)
        if self._desk.forgotten != self._forgotten:
            FORGOTTEN.inc(self._desk.forgotten - self._forgotten)
            self._forgotten = self._desk.forgotten
        return released

    def _tell(self, metric: Metric, counted: Mapping[str, int]) -> None:
        for name, count in counted.items():
            if count != self._told[name]:
                metric.labels(name).inc(count - self._told[name])
                self._told[name] = count

    def reject(self, received: Received, now: datetime, failure: Failure) -> Sequence[Emission]:
        """End an event that could not be decided."""
        return self._desk.reject(_source(received), received.value, now, failure)

    def bury(self, received: Received, failure: Failure) -> Emission:
        """A dead letter alone."""
        return failed_letter(_source(received), received.value, failure)


def _source(received: Received) -> Source:
    return Source(
        topic=received.topic,
        partition=received.partition,
        offset=received.offset,
        key=received.key,
        headers=received.headers,
    )


class Gate:
    """The role."""

    def __init__(self, settings: Settings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._world, self._replication = replicate(settings, member, VIEWS)
        self._desk_settings = DeskSettings(
            marketing_expire_s=settings.mail.marketing_expire_s,
            transactional_expire_s=settings.mail.transactional_expire_s,
            unknown_campaign_wait_s=settings.mail.unknown_campaign_wait_s,
            address_key=load_key(settings, "address_id"),
            address_key_version=settings.secrets.address_id_version,
            providers=settings.providers,
        )
        self._producer = RecordProducer(
            settings.kafka, client_id=f"evenpost-{member}-demand", delivery_timeout_ms=DEMAND_TIMEOUT_MS
        )
        self.app = make_app("gate", settings, member=member)
        self._offsets = GroupOffsets(settings.kafka, self.app.conf.id)
        self._threads = ThreadPoolExecutor(settings.kafka.gate_partitions, thread_name_prefix="gate")
        self._fuse = fuse_kept_in(state_path(settings, member, "fuse.json"), settings.worker.fuse_share)
        self._desks: dict[int, Desk] = {}
        self.ownership = Ownership(self.app, self._partition)
        WAITING.set_function(self._waiting)
        for name in SOURCES:
            self._source(name)

    def _source(self, name: str) -> None:
        @self.app.agent(self.app.source(name), name=f"gate-{name}")
        async def source(stream: Any) -> None:
            await self.ownership.take_from(stream)

    def _partition(self, partition: int) -> PartitionLoop:
        return PartitionLoop(
            partition,
            settings=self._settings,
            role="gate",
            topics=SOURCES,
            changelog=topics.GATE_STATE.name,
            path=state_path(self._settings, self._member, f"gate-{partition}"),
            group=self._offsets,
            executor=self._threads,
            make_decider=lambda table: self._decider(partition, table),
            may_decide=self._replication.fresh,
            on_failure=self.ownership.fail,
            on_worked=self.ownership.resume,
            is_owner=self.ownership.confirmed,
            fuse=self._fuse,
        )

    def _decider(self, partition: int, table: PartitionTable) -> Decisions:
        kafka = self._settings.kafka
        desk = Desk(
            partition,
            partitions=kafka.gate_partitions,
            slots=kafka.slots,
            state=table,
            world=self._world,
            settings=self._desk_settings,
        )
        self._desks[partition] = desk
        return Decisions(desk, self._tell)

    def _tell(self, demand: Demand) -> None:
        topic, key = self._settings.topic(topics.DEMANDS.name), str(demand.gate_partition).encode()
        with suppress(BufferError):  # the next one follows within a second
            told = self._producer.offer(topic, msgspec.json.encode(demand), key=key)
            # Nobody waits for it.  The producer counts and logs what fails; else asyncio would tell it once more.
            told.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _waiting(self) -> int:
        owned = self.ownership.partitions
        return sum(desk.waiting for partition, desk in list(self._desks.items()) if partition in owned)

    async def main(self) -> int:
        """Serve until stopped."""
        readiness = worker.Readiness(self._settings, role="gate", member=self._member)
        code = await worker.serve(self.app, self.ownership, readiness, views=self._replication)
        self._replication.close()
        self._producer.close()
        return code


def run(settings: Settings, member: str) -> None:
    """Run a gate worker."""
    worker.run(lambda: Gate(settings, member).main(), switch_s=SWITCH_S)
