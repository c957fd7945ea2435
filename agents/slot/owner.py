"""The owner of one slot: takes it when its first send comes, works it, gives it up, takes it anew after a fence.

A fence ends a session, not the attempts that are past their intent: those come to their end, and the next session takes
their outcomes over (`under_way`).  Between two sessions nothing gets an intent, and so nothing a dot.
"""

import asyncio
import contextlib
from typing import Any, Final

import structlog

from agents.slot.inbox import Inbox
from agents.slot.recovery import ReadBack, read_back
from agents.slot.session import DRAIN_S, END_S, Session
from agents.slot.shaping import Shaper
from agents.slot.shared import LANES, Shared
from agents.slot.under_way import UnderWay
from schemas.events import Egress, Outcome, Send, Via
from streams.delivery.attempt import Attempts
from streams.delivery.intents import Intents
from streams.delivery.journal import Key
from streams.delivery.pool import SlotConnections
from streams.runtime.errors import FencedError
from streams.runtime.partition.streaming_producer import StreamingProducer
from streams.runtime.partition.taking_over import TakingOver

log = structlog.get_logger(__name__)

# A slot that `egress` does not name: nothing is sent from it, its sends go back.
_NOWHERE: Final = Egress(slot=0, via=Via(kind="bind", address="127.0.0.1"), ehlo="localhost", state="spare")
# A process that was stopped for longer than this share of a session may have a successor (streams/delivery/intents.py).
INTENT_SHARE: Final = 0.5


class SlotOwner:
    """One slot in this process."""

    def __init__(self, slot: int, shared: Shared) -> None:
        self.slot = slot
        self.ready = True  # a slot without a send has nothing to recover
        self._shared = shared
        self._inbox = Inbox([shared.settings.topic(lane) for lane in LANES])
        self._under_way = UnderWay(shared.known.setdefault(slot, {}), ended=self._attempt_ended)
        self.shaper = Shaper(slot, shared)
        self._session: Session | None = None
        self._stopping = False
        self._ended = asyncio.Event()
        self._egress: Egress | None = None
        self._connections: SlotConnections | None = None
        self._attempts: Attempts | None = None
        self._intents = Intents(
            announce=self._announce, good_for_s=shared.settings.kafka.session_timeout_s * INTENT_SHARE
        )
        self._taking: TakingOver[StreamingProducer, ReadBack] = TakingOver(
            slot,
            topics=[shared.settings.topic(lane) for lane in LANES],
            group=shared.group,
            executor=shared.executor,
            make_producer=lambda: StreamingProducer(
                shared.settings.kafka, f"{shared.settings.kafka.prefix}sender-{slot}"
            ),
            recover=lambda stable: read_back(slot, stable, shared.settings, go_on=lambda: not self._stopping),
            is_owner=shared.is_owner,
            go_on=lambda: not self._stopping,
        )

    def put(self, message: Any) -> None:
        """Take an event over, once."""
        self._inbox.put(message)

    def backlog(self, topic: str) -> int:
        """How many sends wait in this lane."""
        return self._inbox.backlog(topic)

    def positions(self) -> dict[str, int]:
        """Each lane's (full name) offset below which all is done; empty until the slot is taken."""
        return {} if self._session is None else self._session.positions()

    @property
    def held(self) -> int:
        """How many sends wait for their providers' limits."""
        return 0 if self._session is None else self._session.held

    @property
    def connections(self) -> int:
        """How many SMTP connections it holds."""
        return 0 if self._connections is None else self._connections.open_connections

    async def run(self) -> None:
        """Wait for the first send, take the slot, work it until stopped; where it is fenced, take it anew."""
        try:
            if not await self._inbox.first():
                return
            self.ready = False
            while (taken := await self._taking.take()) is not None:
                try:
                    self._session = Session(
                        self.slot,
                        self._shared,
                        inbox=self._inbox,
                        under_way=self._under_way,
                        producer=taken.producer,
                        memory=taken.recovered.memory,
                        shaper=self.shaper,
                        attempts=self._attempts_now,
                        worked=lambda: self._shared.worked(self),
                    )
                    self.ready = True
                    await self._session.serve()
                    return
                except FencedError as error:
                    log.warning("slot fenced, it is taken anew", slot=self.slot, error=str(error))
                    self._inbox.again()
                finally:
                    self.ready, self._session = self._stopping, None
                    await taken.give_up(f"slot {self.slot}")
        finally:
            await self._under_way.cut()
            if self._connections is not None:
                await self._connections.close()
            self._ended.set()

    async def stop(self) -> None:
        """Finish what is under way; what waits is the next owner's, and so is what does not end in time."""
        self._stopping = True
        self._inbox.end()
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._ended.wait()
        except TimeoutError:
            log.warning("slot given up with sends under way", slot=self.slot)
            # Or they would go on beside the next owner's: from the same IP, the same mail twice.
            await self._under_way.cut()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_S + 1):
                    await self._ended.wait()

    def _attempt_ended(self, key: Key, outcome: Outcome) -> None:
        if self._session is not None:
            self._session.ended(key, outcome)

    def _announce(self, send: Send, connection: str) -> "asyncio.Future[int]":
        if self._session is None:
            raise FencedError(f"slot {self.slot}", "it is being taken anew")
        return self._session.announce(send, connection)

    def _attempts_now(self) -> Attempts:
        """The slot's attempts, with connections for the egress as it is now."""
        shared = self._shared
        egress = shared.world.egress.get(str(self.slot)) or _NOWHERE
        if self._attempts is None or egress != self._egress:
            if self._connections is not None:
                shared.in_background(self._connections.close())
            self._egress = egress
            self._connections = SlotConnections(
                egress.via,
                egress.ehlo,
                shared.router,
                shared.settings.smtp,
                shaping=shared.shaping,
                points=shared.points,
            )
            self._attempts = Attempts(
                world=shared.world,
                compose=shared.compose,
                connections=self._connections,
                settings=shared.outcome_settings,
                may_send=shared.replication.fresh,
                intents=self._intents,
            )
        return self._attempts
