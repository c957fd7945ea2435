"""SENDER: owner of slots.  Both lanes of a slot arrive at one worker (co-partitioned); `agents.slot` works them."""

import asyncio
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agents.composers import Composers
from agents.slot.owner import SlotOwner
from agents.slot.shared import LANES, Shared
from agents.slot.telling import Telling
from agents.views import replicate
from schemas import topics
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.routes import Router
from streams.delivery.shaping import load
from streams.runtime.app import EvenpostApp, make_app
from streams.runtime.assignment.addresses import of_this_host
from streams.runtime.assignment.placement import Placement
from streams.runtime.keys import load_key
from streams.runtime.life import worker
from streams.runtime.metrics import SENDS_HELD, SENDS_WAITING, SMTP_CONNECTIONS
from streams.runtime.partition.fuse_file import fuse_kept_in
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.ownership import Ownership
from streams.runtime.points import Points
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings, SmtpSettings
from streams.runtime.state.local_state import held_on_disk, state_path
from streams.runtime.transport.assignor import CoPartitionedAssignor

VIEWS = (
    topics.CAMPAIGNS,
    topics.TENANTS,
    topics.CONTENTS,
    topics.CONTROLS,
    topics.EGRESS,
    topics.SUPPRESSIONS,
    topics.CONDITIONS,
    topics.DOMAINS,
)


# Fencing takes 0.3-1 s of waiting, reading a journal back as long (DESIGN.md, choice 9).
TAKEN_AT_ONCE = 16


class Sender:
    """The role."""

    def __init__(self, settings: Settings, member: str, *, journals: bool = True) -> None:
        """`journals` False is for who measures what the journal costs: a kill then doubles mail."""
        self._settings = settings
        self._member = member
        self._world, self._replication = replicate(settings, member, VIEWS)
        self._producer = RecordProducer(settings.kafka, client_id=f"evenpost-{member}")
        self.app: EvenpostApp = make_app("sender", settings, member=member)
        self.app.group_assignor = CoPartitionedAssignor(
            member=member,
            held=held_on_disk(settings, member),
            addresses=lambda: of_this_host(settings.smtp),
            slots=self._world.binds,
        )
        self._shared = Shared(
            settings=settings,
            member=member,
            world=self._world,
            replication=self._replication,
            compose=Composers(settings, self._world.contents),
            producer=self._producer,
            router=Router.seeded(smtp=settings.smtp, dns=settings.dns, seed=os.getpid()),
            shaping=load(settings.smtp.shaping),
            outcome_settings=OutcomeSettings(
                address_key=load_key(settings, "address_id"),
                address_key_version=settings.secrets.address_id_version,
                retry_scale=settings.mail.retry_scale,
            ),
            group=GroupOffsets(settings.kafka, self.app.conf.id),
            executor=ThreadPoolExecutor(TAKEN_AT_ONCE, thread_name_prefix="sender-slots"),
            fuse=fuse_kept_in(state_path(settings, member, "fuse.json"), settings.worker.fuse_share),
            is_owner=self._confirmed,
            worked=lambda owner: self.ownership.resume(owner, owner.slot),
            in_background=self._in_background,
            points=Points.from_environment(),
            journals=journals,
        )
        self.ownership = Ownership(self.app, lambda slot: SlotOwner(slot, self._shared))
        self._background: set[asyncio.Task[None]] = set()
        for name in LANES:
            self._lane(name)
        SMTP_CONNECTIONS.set_function(lambda: sum(slot.connections for slot in self._slots()))
        SENDS_HELD.set_function(lambda: sum(slot.held for slot in self._slots()))

    async def _confirmed(self) -> bool:
        return await self.ownership.confirmed()

    def _slots(self) -> list[SlotOwner]:
        return [owner for owner in list(self.ownership.owners()) if isinstance(owner, SlotOwner)]

    def _lane(self, name: str) -> None:
        topic = self._settings.topic(name)
        waiting = SENDS_WAITING.labels(name.rpartition(".")[2])
        waiting.set_function(lambda: sum(slot.backlog(topic) for slot in self._slots()))

        @self.app.agent(self.app.source(name), name=f"sender-{name}")
        async def lane(stream: Any) -> None:
            await self.ownership.take_from(stream)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something end on its own."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def main(self) -> int:
        """Serve until stopped."""
        readiness = worker.Readiness(self._settings, role="sender", member=self._member)
        self._in_background(
            Placement(self.app, binds=self._world.binds, here=lambda: of_this_host(self._settings.smtp)).watch()
        )
        self._in_background(Telling(self._settings, self._producer, self._slots).run())
        code = await worker.serve(
            self.app,
            self.ownership,
            readiness,
            views=self._replication,
            patience_s=longest_attempt_s(self._settings.smtp),
        )
        self._replication.close()
        self._producer.close()
        self._shared.group.close()
        return code


def longest_attempt_s(smtp: SmtpSettings) -> float:
    """How long one attempt may take by the settings' own limits, and so how long a slot may stand still: 2,730 s.

    Connect; greeting, EHLO, STARTTLS, EHLO, MAIL, RCPT; DATA; a block; the reply after the dot (RFC 5321 4.5.3.2).
    """
    commands_s = smtp.connect_timeout_s + 6 * smtp.command_timeout_s
    return commands_s + smtp.data_timeout_s + smtp.block_timeout_s + smtp.final_timeout_s


def run(settings: Settings, member: str) -> None:
    """Run a sender."""
    worker.run(lambda: Sender(settings, member).main())
