"""A send's intent: handed to Kafka when MAIL goes out, durable and fresh before the dot (DESIGN.md choice 9).

1. `mail_goes` hands it over, in the same turn of the loop in which the envelope is written; anew where the send gets
   another connection.
2. `before_dot` waits until it is durable.  What became of it instead (aborted, fenced) is raised.
3. Then, once the views are in touch, it looks again at all that may have changed meanwhile: suppression, state (G4).
4. Then the clock.  An intent that is durable says: when it was handed over, nobody had the slot after us.  A process
   that was stopped since then, or waited for a slow receiver, can't rest on that: it hands over another one and waits
   for it, which a successor's fence refuses.  Nothing is awaited between a good clock and the dot.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from schemas.events import Send
from streams.delivery.errors import StaleIntentError

__all__ = ["Announce", "Intents", "SendWitness", "boot_clock"]

# Hands the intent of one transaction over, with the connection's label; the future is its offset, once it is durable.
Announce = Callable[[Send, str], "asyncio.Future[int]"]
# A slow receiver costs one intent more.  The third in a row that took longer than its limit comes from a broker, or a
# machine, on which nothing can rest.
TRIES: Final = 3


def boot_clock() -> float:
    """Seconds, those included in which the machine was asleep, which Linux's monotonic clock leaves out."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, kw_only=True)
class Intents:
    """How a slot's intents are made: `good_for_s` after it was handed over, one doesn't prove ownership any more.

    Half of the group's session timeout: nobody takes the slot of a process that stopped before that timeout has passed
    since its last heartbeat, which may be a second older than its last intent; the rest is room for clocks and queues.
    """

    announce: Announce
    good_for_s: float
    clock: Callable[[], float] = boot_clock


class SendWitness:
    """One send's witness (`smtp.Witness`).

    `in_touch` returns once the views are, or after a while; `look` raises where the send may not go any more.
    """

    def __init__(
        self,
        send: Send,
        intents: Intents | None,
        *,
        in_touch: Callable[[], Awaitable[None]],
        look: Callable[[], None],
    ) -> None:
        self._send = send
        self._intents = intents
        self._in_touch = in_touch
        self._look = look
        self._connection = ""
        self._handed_over = 0.0
        self._durable: asyncio.Future[int] | None = None

    @property
    def send_id(self) -> str:
        """Which send it is."""
        return self._send.send_id

    def mail_goes(self, connection: str) -> None:
        """Hand the intent over."""
        self._connection = connection
        if self._intents is not None:
            self._durable = self._hand_over(self._intents)

    async def before_dot(self) -> None:
        """Return when the dot may go."""
        if self._intents is None or self._durable is None:
            await self._in_touch()
            self._look()
            return
        for tries in range(1, TRIES + 1):
            # Shielded: it belongs to whoever reports to it, who must not find it cancelled.
            await asyncio.shield(self._durable)
            await self._in_touch()
            self._look()
            age_s = self._intents.clock() - self._handed_over
            if age_s <= self._intents.good_for_s:
                return
            if tries < TRIES:
                self._durable = self._hand_over(self._intents)
        raise StaleIntentError(self._send.send_id, age_s=age_s, limit_s=self._intents.good_for_s)

    def _hand_over(self, intents: Intents) -> "asyncio.Future[int]":
        self._handed_over = intents.clock()
        durable = intents.announce(self._send, self._connection)
        # Nobody waits for it where the receiver refuses the envelope, or a stale connection is replaced.
        durable.add_done_callback(_heard)
        return durable


def _heard(durable: "asyncio.Future[int]") -> None:
    """Take note of its failure, or asyncio logs one that nobody asked for."""
    if not durable.cancelled():
        durable.exception()
