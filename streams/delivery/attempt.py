"""One send, from its checks to its outcome: the sender's steps in order, without Kafka.

1. Wait until the views are as far as the dealer's were; give the send back when that takes too long.
2. `withheld`: cancelled, expired, suppressed, paused, slot closed.
3. Compose and sign.
4. Deliver: with MAIL the intent is handed over; just before the dot, when it is durable, look again at what may have
   changed while it waited (`intents`).
5. Conclude.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from schemas import ids
from schemas.events import Outcome, Rule, Send
from streams.compose.errors import KeyRefusedError, RenderError
from streams.compose.message import Message
from streams.delivery import outcomes
from streams.delivery.intents import Intents, SendWitness
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.pool import SlotConnections
from streams.views import World

log = structlog.get_logger(__name__)

# A view is behind by milliseconds; by seconds where a broker restarts.  Then the send goes back to its dealer.
VIEW_WAIT_S: Final = 10.0
VIEW_POLL_S: Final = 0.02


class Withdrawn(Exception):  # a change of mind, no error
    """What may not go any more was stopped before the dot."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.delivery.type)
        self.outcome = outcome


class Attempts:
    """Attempts of one slot.  Without `intents` nobody is told of them before they are over."""

    def __init__(
        self,
        *,
        world: World,
        compose: Callable[[Send], Message | None],
        connections: SlotConnections,
        settings: OutcomeSettings,
        may_send: Callable[[], bool],
        intents: Intents | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._world = world
        self._compose = compose
        self._connections = connections
        self._settings = settings
        self._may_send = may_send
        self._intents = intents
        self._jitter = jitter

    async def settle(self, send: Send, provider: str = "") -> Outcome:
        """Try once, within the provider's limits for connections; the outcome is the caller's to make durable.

        Raises StaleIntentError, and what an intent's future raises: then the connection is cut and nothing delivered.
        """
        if not await self._views_are_ready(send):
            return outcomes.behind(send, _now(), self._settings)
        early = outcomes.withheld(send, self._world, _now(), self._settings, provider=provider)
        if early is not None:
            return early
        try:
            message = self._compose(send)
        except RenderError as error:
            rule = Rule(rule="render", value=str(error), limit="a message that renders")
            return outcomes.refused(send, "render", rule, _now(), self._settings)
        except KeyRefusedError as error:
            log.error("dkim key can't be used", tenant=send.tenant, error=str(error))  # noqa: TRY400  # a file, no bug
            return outcomes.unsigned(send, _now(), self._settings)
        if message is None:
            return outcomes.behind(send, _now(), self._settings)
        return await self._deliver(send, message, provider)

    async def _deliver(self, send: Send, message: Message, provider: str) -> Outcome:
        def look_again() -> None:
            # It may have waited minutes for a connection, and the views may have lost touch meanwhile (G4).
            if not self._may_send():
                raise Withdrawn(outcomes.behind(send, _now(), self._settings))
            late = outcomes.withheld(send, self._world, _now(), self._settings, provider=provider)
            if late is not None:
                raise Withdrawn(late)

        domain = message.envelope_to.rpartition("@")[2]
        witness = SendWitness(send, self._intents, in_touch=self._in_touch, look=look_again)
        try:
            result = await self._connections.deliver(
                domain, message.envelope_from, message.envelope_to, message.data, provider=provider, witness=witness
            )
        except Withdrawn as withdrawn:
            return withdrawn.outcome
        return outcomes.concluded(send, result, _now(), self._settings, jitter=self._jitter())

    async def _in_touch(self) -> None:
        """Wait, behind the receiver's 354, for views that lose touch for a moment: to give the send back costs more."""
        deadline = asyncio.get_running_loop().time() + VIEW_WAIT_S
        while not self._may_send():
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(VIEW_POLL_S)

    async def _views_are_ready(self, send: Send) -> bool:
        """Wait for the offsets that the dealer named, and while no view can be confirmed (G4)."""
        deadline = asyncio.get_running_loop().time() + VIEW_WAIT_S
        while outcomes.is_behind(send, self._world.offsets) or not self._may_send():
            if asyncio.get_running_loop().time() > deadline and self._may_send():
                return False
            await asyncio.sleep(VIEW_POLL_S)
        return True


def content_key(send: Send) -> str:
    """The key of the content that the send was dealt with."""
    return ids.content_key(send.tenant, send.campaign_id, send.content)


def _now() -> datetime:
    return datetime.now(UTC)
