"""A slot while it is ours: one send after another to its end, all of it said in one open transaction after another.

1. What the journal knew and nobody had committed is said first: effects of outcomes, with the same event ids.
2. Then the lanes.  A send that is done is passed over.  One whose intent stands without an outcome is uncertain, or is
   sent again, as its campaign says; where this very process was at it, its end is waited for, and is the outcome.
3. Any other send is tried once, when its provider's limits let it (`holding`).  Its intent is a fact: durable before
   the dot.  Its outcome and effects are handed over together, in the turn of the loop in which its connection becomes
   free, and awaited by nobody: the next intent of the connection stands behind them in the same partition, so that its
   durability is theirs.

A live sender never sends again for Kafka's sake: an attempt is begun anew where nothing went, and nowhere else.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from agents.slot.holding import Granted, Holding
from agents.slot.inbox import Inbox
from agents.slot.saying import Begun, Saying
from agents.slot.shaping import Shaper
from agents.slot.shared import Shared
from agents.slot.standing import Standing
from agents.slot.under_way import UnderWay, heard
from schemas.events import Outcome, Send
from streams.delivery import outcomes
from streams.delivery.attempt import Attempts
from streams.delivery.errors import StaleIntentError
from streams.delivery.journal import Key, Memory
from streams.delivery.slot_limits import Turn
from streams.runtime.dead_letters import INTERNAL, MALFORMED, Failure
from streams.runtime.errors import FencedError, TransactionAbortedError
from streams.runtime.metrics import ATTEMPT_SECONDS, EVENTS, FAILURES
from streams.runtime.partition.outbox import Outbox
from streams.runtime.partition.streaming_producer import StreamingProducer
from streams.runtime.state.local_store import StoreError

log = structlog.get_logger(__name__)

# What is under way gets this long (s) when the slot is given up; then its connections are cut.
DRAIN_S: Final = 10.0
# For the last commit, also where a broker restarts meanwhile.  Both together are less than a revocation may take (45 s,
# `Ownership`); a worker that ends waits for 17 s in all (life/worker.py).
END_S: Final = 20.0
# An attempt that Kafka stopped before its dot is begun anew after this (s): the broker has just failed.
AGAIN_S: Final = 0.5
# How soon it is looked again whether there is room for what comes of another send (s).
ROOM_S: Final = 0.05
_send = msgspec.json.Decoder(Send)


class _LeftError(Exception):
    """The slot is being given up, and nothing of this send went: it is the next owner's."""


class Session:
    """One taking of a slot."""

    def __init__(
        self,
        slot: int,
        shared: Shared,
        *,
        inbox: Inbox,
        under_way: UnderWay,
        producer: StreamingProducer,
        memory: Memory,
        shaper: Shaper,
        attempts: Callable[[], Attempts],
        worked: Callable[[], None],
    ) -> None:
        self.slot = slot
        self._shared = shared
        self._inbox = inbox
        self._under_way = under_way
        self._shaper = shaper
        self._attempts = attempts
        self._worked = worked
        self._redo = memory.redo
        self._standing = Standing(slot, shared, memory, inbox=inbox, under_way=under_way, shaper=shaper)
        self._in_doubt = self._standing.in_doubt
        self._begun: dict[Key, Begun] = {}
        self._outbox = Outbox(
            producer,
            group=shared.group,
            name=f"slot {slot}",
            position=self._standing.position,
            is_owner=shared.is_owner,
            idle=lambda: not (self._begun or self._inbox.waits),
        )
        self._saying = Saying(slot, shared, outbox=self._outbox, standing=self._standing, under_way=under_way)

        self._holding = Holding(
            shaper,
            inbox,
            shared.outcome_settings,
            longest_s=shared.settings.smtp.hold_s,
            withheld=lambda begun, now: outcomes.withheld(
                begun.send, shared.world, now.at, shared.outcome_settings, provider=begun.provider
            ),
            shut_out=lambda begun, now: outcomes.shut_out(
                begun.send, shared.world, now.at, shared.outcome_settings, provider=begun.provider
            ),
            conclude=self._conclude,
        )

    @property
    def held(self) -> int:
        """How many sends wait for their providers' limits."""
        return len(self._holding)

    def positions(self) -> dict[str, int]:
        """Each lane's (full name) offset below which all is done."""
        return self._standing.positions()

    async def serve(self) -> None:
        """Work until the inbox ends, then say the last of it.

        Raises FencedError, or the defect that ended it: what else was past MAIL FROM had its time to finish then.
        """
        if self._shared.journals:
            self._under_way.compare(self._in_doubt)
        for outcome in self._redo:
            self._saying.outcome(outcome)
            self._standing.lanes[outcome.lane or ""].done(outcome.offset or 0)
        outbox = asyncio.create_task(self._outbox.run(), name=f"outbox-{self.slot}")
        workers = [
            asyncio.create_task(self._work(), name=f"slot-{self.slot}-{number}")
            for number in range(self._shared.settings.smtp.connections_per_slot)
        ]
        holding = asyncio.create_task(self._holding.run(), name=f"holding-{self.slot}")
        working = asyncio.create_task(self._until_the_last(workers))
        try:
            await asyncio.wait({outbox, holding, working}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                for task in (outbox, holding):
                    if task.done():
                        task.result()
                raise AssertionError("an outbox or a hold ended by itself")
            holding.cancel()
            await self._last_word()
            working.result()
        finally:
            for task in (outbox, holding, working, *workers):
                task.cancel()
                task.add_done_callback(heard)
            await asyncio.wait({outbox, holding, working, *workers})
            self._holding.close()

    async def _last_word(self) -> None:
        """Commit what was said.  Where the broker does not answer in time, the slot's next owner says it."""
        try:
            async with asyncio.timeout(END_S):
                await self._outbox.end()
        except TimeoutError:
            log.warning("slot given up before its last commit", slot=self.slot, limit_s=END_S)

    async def _until_the_last(self, workers: Sequence["asyncio.Task[None]"]) -> None:
        """Wait for the workers; where one fails, the others finish what is past MAIL FROM and begin nothing."""
        ended, others = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        if others:
            self._inbox.end()
            await asyncio.wait(others, timeout=DRAIN_S)
        for worker in ended:
            if not worker.cancelled():  # cut while it waited
                worker.result()

    # ── one send ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _work(self) -> None:
        while (message := await self._next()) is not None:
            try:
                await self._take(message)
            except (FencedError, _LeftError):  # of the first the outbox says so too, and ends this session
                return
            self._worked()

    async def _next(self) -> Any | None:
        """The next event, once there is room for what comes of it; None where all is to end."""
        while self._outbox.full and not self._inbox.ended:  # noqa: ASYNC110  # rare, and two others end it
            await asyncio.sleep(ROOM_S)
        return await self._inbox.take()

    async def _take(self, message: Any) -> None:
        """Bring one event to its end, whatever it holds (G8), or have it held."""
        if isinstance(message, Granted):
            self._holding.taken(message)
            await self._bring(message.begun, message.turn)
            return
        lane = self._saying.lane(message)
        book = self._standing.lanes[lane]
        book.comes(message.offset)
        if book.is_done(message.offset):
            self._standing.passed_over(message, lane)
            self._outbox.moved()
            return
        book.begin(message.offset)
        EVENTS.labels(lane).inc()
        try:
            send = _send.decode(message.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._saying.dead_letter(message, reason=MALFORMED, error=str(error))
            self._standing.done(message, lane, None)
            return
        key = (send.send_id, send.deal)
        begun = Begun(send=send, message=message, lane=lane, provider=send.provider)
        if key in self._under_way or key in self._in_doubt:  # it had its turn
            await self._bring(begun, None)
            return
        try:
            begun.provider = await self._shaper.provider(send)
        except Exception as error:  # noqa: BLE001  # told by `_failed`, and the fuse counts it
            self._conclude(begun, self._failed(send, message, error))
            return
        turn = self._holding.admit(begun)
        if turn is not None:
            await self._bring(begun, turn)

    async def _bring(self, begun: Begun, turn: Turn | None) -> None:
        """Bring one send to its end, now that it may go."""
        key = (begun.send.send_id, begun.send.deal)
        self._begun[key] = begun
        try:
            outcome = await self._settled(begun, turn)
            if not begun.said:
                self._conclude(begun, outcome)
        finally:
            self._begun.pop(key, None)

    def ended(self, key: Key, outcome: Outcome) -> None:
        """An attempt has its outcome, and its connection is free.

        In the next turn of the loop somebody else may have that connection and say an intent: this outcome stands
        before it, or a kill could leave two in doubt of one connection (DESIGN.md G2).
        """
        begun = self._begun.get(key)
        if begun is not None:  # else this session comes to that send later, and asks
            with contextlib.suppress(Exception):  # who waits for the outcome says it again, and raises what this did
                self._conclude(begun, outcome)

    def _conclude(self, begun: Begun, outcome: Outcome | None) -> None:
        """All that follows from a send is said; None: its letter was all."""
        if outcome is not None:
            self._saying.outcome(msgspec.structs.replace(outcome, lane=begun.lane, offset=begun.message.offset), begun)
        begun.said = True
        self._standing.done(begun.message, begun.lane, (begun.send.send_id, begun.send.deal))

    async def _settled(self, begun: Begun, turn: Turn | None) -> Outcome | None:
        """What became of a send; None where it has no name to say it under, and its letter is all."""
        send, message = begun.send, begun.message
        key = (send.send_id, send.deal)
        while True:
            if key not in self._under_way:
                doubt = self._in_doubt.get(key)
                if doubt is not None:
                    known = outcomes.doubtful(send, doubt, _now(), self._shared.outcome_settings)
                    if known is not None:
                        return known
                    send = outcomes.sent_again(send)
                if turn is None or turn.over:
                    turn = self._shaper.begin(begun.provider)
                self._under_way.begin(key, partial(self._attempt, send, turn), former=doubt)
            try:
                with ATTEMPT_SECONDS.time():
                    outcome = await self._under_way.outcome(key)
            except (TransactionAbortedError, FencedError, StaleIntentError) as stopped:
                # Nothing went.  Where it is this session that was fenced, its outbox ends it meanwhile.
                log.warning("attempt stopped before its dot", slot=self.slot, send_id=send.send_id, why=str(stopped))
                former = self._under_way.forget(key)
                self._in_doubt.pop(key, None)
                if former is not None:
                    self._in_doubt[key] = former
                if self._inbox.ended:
                    raise _LeftError from stopped
                await asyncio.sleep(AGAIN_S)
            except StoreError:  # not this send's fault: the worker ends, and begins with a whole copy
                raise
            except Exception as error:  # noqa: BLE001  # told by `_failed`, and the fuse counts it
                self._under_way.forget(key)
                return self._failed(send, message, error)
            else:
                self._shared.fuse.admit(events=1, failed=0)
                return outcome

    async def _attempt(self, send: Send, turn: Turn) -> Outcome:
        outcome = None
        try:
            outcome = await self._attempts().settle(send, turn.provider)
        finally:
            self._shaper.end(turn, outcome)
        return outcome

    def _failed(self, send: Send, message: Any, error: Exception) -> Outcome | None:
        """An error of ours.  Tried once: behind an intent nobody can say whether the mail went."""
        log.error("send failed within", slot=self.slot, send_id=send.send_id, exc_info=error)
        FAILURES.labels(self._saying.lane(message)).inc()
        self._saying.blow()
        failure = Failure(error=error)
        self._saying.dead_letter(message, reason=INTERNAL, error=failure.line, tries=failure.tries)
        begun = self._in_doubt.get((send.send_id, send.deal))
        try:
            return outcomes.failed(send, failure.name, _now(), self._shared.outcome_settings, begun=begun)
        except ValueError:  # no dealer of ours made this send: its address has no domain, and no outcome a name
            return None

    # ── what is said before the dot ──────────────────────────────────────────────────────────────────────────────────

    def announce(self, send: Send, connection: str) -> "asyncio.Future[int]":
        """Hand a send's intent over; the future tells that it is durable."""
        if not self._shared.journals:
            free: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            free.set_result(0)
            return free
        begun = self._begun.get((send.send_id, send.deal))
        if begun is None:  # an attempt of a former session, and this one has not come to that dealing, or knows its end
            raise FencedError(f"slot {self.slot}", "it was taken anew since this attempt began")
        return self._saying.intent(begun, connection)


def _now() -> datetime:
    return datetime.now(UTC)
