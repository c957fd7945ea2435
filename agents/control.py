"""CONTROL: one owner (the member that holds `campaigns`' only partition) compiles contents and issues leases.

It looks at the world a few times a second and makes what is missing: a content version for each campaign, compiled
or refused with a reason, and a lease for each gate partition while a campaign is paced.  Doing it twice does no harm.
What upstream wrote in a form that can't be read is a dead letter, once: the group's offsets say how far it looked.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from agents.views import replicate
from schemas import ids, topics
from schemas.events import Campaign, Lease
from streams.compose.compile import MailTerms, compile_content, refused_content
from streams.runtime.dead_letters import MALFORMED, DeadLetter, bury
from streams.runtime.group import GroupReader
from streams.runtime.life import worker
from streams.runtime.life.stopping import Stop
from streams.runtime.life.vigil import Vigil
from streams.runtime.life.vitals import Condition, Vitals, turns, views_condition
from streams.runtime.metrics import ACTIVE, CONTENTS, EVENTS, LEASES
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from streams.spread.leases import equal_leases
from streams.views import BadRecordError, World

log = structlog.get_logger(__name__)

VIEWS = (topics.CAMPAIGNS, topics.TENANTS, topics.CONTENTS, topics.CONTROLS, topics.EGRESS)
CHECKED = (topics.CAMPAIGNS, topics.TENANTS, topics.EGRESS)
TICK_S: Final = 0.2
# One turn compiles what is missing: 2 MB of HTML take seconds, and a thousand campaigns at a first start are as many
# seconds.  A producer gives a record up after 120 s, and while the broker is away the views are not current.
PATIENCE_S: Final = 1_800.0
LEASE_EVERY_S: Final = 1.0
# A dealer may spend a lease this long after it was issued: three renewals may be lost.
LEASE_TTL_S: Final = 4.0


class Control:
    """The role."""

    def __init__(self, settings: Settings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._world, self._replication = replicate(settings, member, VIEWS)
        self._producer = RecordProducer(settings.kafka, client_id=f"evenpost-{member}")
        self._reader = GroupReader(settings, "control", CHECKED, client_id=f"evenpost-{member}", name=member)
        self._terms = MailTerms(
            unsubscribe_url=settings.mail.unsubscribe_url,
            feedback_id=settings.mail.feedback_id,
            token_key=settings.secrets.token_version,
            address_key=settings.secrets.address_id_version,
        )
        self._turns = 0
        self._known: set[str] = set()
        self._leased_at = 0.0

    async def main(self) -> int:
        """Serve until stopped."""
        readiness = worker.Readiness(self._settings, role="control", member=self._member)
        stop = Stop(self._settings.worker.sigterm).listen()
        async with Vigil(self._settings, readiness, self._vitals()) as vigil:
            vigil.announce_when(lambda: True)
            while not stop.is_set():
                await self._turn()
            vigil.ending(leaves=stop.how == "scale-in")
            log.info("stopping", how=stop.how)
            await asyncio.to_thread(self._reader.close)
            if stop.how == "scale-in":
                await self._reader.leave()
        self._replication.close()
        self._producer.close()
        return 0

    async def _turn(self) -> None:
        self._replication.check()
        records = await asyncio.to_thread(self._reader.read, TICK_S)
        for record in records:
            await self._check(record)
            EVENTS.labels(str(record.topic()).removeprefix(self._settings.kafka.prefix)).inc()
        await asyncio.to_thread(self._reader.commit)
        active = self._reader.owns(topics.CAMPAIGNS.name, 0)
        ACTIVE.set(active)
        if active:
            await self._compile_all()
            await self._lease_all()
        self._turns += 1

    def _vitals(self) -> Vitals:
        patience_s = self._settings.worker.stalled_s or PATIENCE_S
        return Vitals(
            conditions=lambda: (self._owned(), views_condition(self._replication)),
            progress=lambda: (*self._reader.progress(), turns("control", self._turns, patience_s=patience_s)),
            held=lambda: None if self._replication.fresh() else "views are not current",
        )

    def _owned(self) -> Condition:
        active = self._reader.owns(topics.CAMPAIGNS.name, 0)
        return Condition(name="owned", ok=True, detail="active" if active else "stands by")

    async def _check(self, record: Any) -> None:
        """Bury what no view can read."""
        name = record.topic().removeprefix(self._settings.kafka.prefix)
        try:
            World().apply(name, (record.key() or b"").decode("utf-8", "replace"), record.value())
        except BadRecordError as bad:
            log.warning("upstream record can't be used", topic=name, offset=record.offset(), reason=bad.reason)
            letter = DeadLetter(
                role="control",
                topic=name,
                partition=record.partition(),
                offset=record.offset(),
                key=record.key(),
                value=record.value(),
                reason=MALFORMED,
                error=str(bad),
            )
            await bury(self._producer, self._settings, letter)

    async def _compile_all(self) -> None:
        for campaign in list(self._world.campaigns.values()):
            if campaign.tenant not in self._world.tenants:
                continue
            version = self._world.content_version(campaign)
            key = ids.content_key(campaign.tenant, campaign.campaign_id, version)
            if key not in self._known and key not in self._world.contents:
                await self._compile(campaign, version, key)
            self._known.add(key)

    async def _compile(self, campaign: Campaign, version: str, key: str) -> None:
        domain, now = self._world.sending_domain(campaign), datetime.now(UTC)
        # In a thread: 2 MB of HTML take seconds, and leases must not wait for them.
        try:
            content = await asyncio.to_thread(
                compile_content, campaign, domain, version=version, now=now, terms=self._terms
            )
        except Exception as error:  # one campaign that trips us must not stop everybody's (G8)
            log.exception("content could not be compiled", tenant=campaign.tenant, campaign=campaign.campaign_id)
            content = refused_content(campaign, f"internal error: {type(error).__name__}", version=version, now=now)
        log.info(
            "content", tenant=campaign.tenant, campaign=campaign.campaign_id, state=content.state, reason=content.reason
        )
        topic = self._settings.topic(topics.CONTENTS.name)
        await (await self._producer.send(topic, msgspec.json.encode(content), key=key.encode()))
        CONTENTS.labels(content.state).inc()

    async def _lease_all(self) -> None:
        loop_now = asyncio.get_running_loop().time()
        if loop_now - self._leased_at < LEASE_EVERY_S:
            return
        paces = {
            key: campaign.pace_per_s
            for key, campaign in list(self._world.campaigns.items())  # in one step: another thread adds to them
            if campaign.pace_per_s is not None
        }
        if not paces:
            return
        self._leased_at = loop_now
        leases = equal_leases(
            paces, partitions=self._settings.kafka.gate_partitions, now=datetime.now(UTC), ttl_s=LEASE_TTL_S
        )
        for lease in leases:
            await self._lease(lease)

    async def _lease(self, lease: Lease) -> None:
        topic = self._settings.topic(topics.LEASES.name)
        sent = await self._producer.send(topic, msgspec.json.encode(lease), key=str(lease.gate_partition).encode())
        # Not awaited: the next one follows within LEASE_EVERY_S, and to wait for a broker that is away would hold up
        # all else.  The producer counts and logs what fails; looked at here, or asyncio would tell it once more.
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        LEASES.inc()


def run(settings: Settings, member: str) -> None:
    """Run a control worker."""
    worker.run(lambda: Control(settings, member).main())
