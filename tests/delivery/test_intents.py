"""An intent is handed over with MAIL, and the dot waits until it is durable and fresh."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from schemas.events import Send
from streams.delivery.errors import StaleIntentError
from streams.delivery.intents import TRIES, Intents, SendWitness
from streams.delivery.pool import SlotConnections
from streams.delivery.smtp import Result
from tests.compose import builders
from tests.delivery.builders import MESSAGE, RECIPIENT, SENDER, slot, until
from tests.delivery.test_attempt import Scene
from tests.support.receiver import Drop, Receiver, Stall

GOOD_FOR_S = 6.0


async def in_touch() -> None:
    """Views that are."""


@dataclass
class Journal:
    """Takes intents over as a slot's owner does; `then` says what becomes of each: it is durable at once by default."""

    now: float = 0.0
    labels: list[str] = field(default_factory=list)
    futures: list[asyncio.Future[int]] = field(default_factory=list)
    then: Callable[[asyncio.Future[int]], None] = lambda future: future.set_result(1)

    def announce(self, _: Send, connection: str) -> asyncio.Future[int]:
        """Take one over."""
        self.labels.append(connection)
        self.futures.append(asyncio.get_running_loop().create_future())
        self.then(self.futures[-1])
        return self.futures[-1]

    @property
    def intents(self) -> Intents:
        """The way to here."""
        return Intents(announce=self.announce, good_for_s=GOOD_FOR_S, clock=lambda: self.now)

    async def deliver(self, connections: SlotConnections, *, look: Callable[[], None] = lambda: None) -> Result:
        """Deliver the test message with its intent."""
        witness = SendWitness(builders.send(), self.intents, in_touch=in_touch, look=look)
        return await connections.deliver("docomo.example", SENDER, RECIPIENT, MESSAGE, witness=witness)


def later(_: asyncio.Future[int]) -> None:
    """Nothing becomes of an intent yet."""


async def test_no_intent_goes_ahead_of_its_connection() -> None:
    """Sends that wait for a connection have no intent; the one that has it names it by host and port."""
    journal = Journal(then=later)
    async with Receiver() as receiver, slot(receiver, connections_per_host=1) as connections:
        sends = [asyncio.create_task(journal.deliver(connections)) for _ in range(3)]
        for number in range(3):
            await until(lambda: len(receiver.commands) > 3 * len(receiver.messages) + 3)
            assert len(journal.futures) == number + 1
            journal.futures[-1].set_result(number)
            await until(lambda: len(receiver.messages) == number + 1)  # noqa: B023  # called within this turn
        assert {result.disposition for result in await asyncio.gather(*sends)} == {"accepted"}
    (label,) = set(journal.labels)
    host, _, port = label.partition("/")
    assert host == receiver.host and int(port) == receiver.sessions[0].port


async def test_the_dot_waits_for_the_intent() -> None:
    """The receiver has said 354; no byte of the message comes before the intent is durable."""
    journal = Journal(then=later)
    async with Receiver() as receiver, slot(receiver) as connections:
        sending = asyncio.create_task(journal.deliver(connections))
        await until(lambda: "DATA" in receiver.commands)
        await asyncio.sleep(0.1)
        (session,) = receiver.sessions
        assert session.chunks[-1].endswith(b"DATA\r\n")
        journal.futures[0].set_result(1)
        assert (await sending).disposition == "accepted"


async def test_what_becomes_of_an_intent_instead_passes_through() -> None:
    """Its transaction was aborted: nothing is delivered, the connection is cut, and the owner hears why."""
    journal = Journal(then=lambda future: future.set_exception(ConnectionResetError("aborted")))
    async with Receiver() as receiver, slot(receiver) as connections:
        with pytest.raises(ConnectionResetError, match="aborted"):
            await Scene(connections, journal.intents).settle()
        await until(lambda: receiver.open == 0)
        assert connections.open_connections == 0
    assert receiver.messages == [] and receiver.sessions[0].chunks[-1].endswith(b"DATA\r\n")


async def test_a_fence_that_is_known_when_mail_would_go_says_nothing_to_the_receiver() -> None:
    """What handing over raises comes before the first command."""

    def fenced(_: asyncio.Future[int]) -> None:
        raise ConnectionResetError("fenced")

    async with Receiver() as receiver, slot(receiver) as connections:
        with pytest.raises(ConnectionResetError, match="fenced"):
            await Journal(then=fenced).deliver(connections)
        await until(lambda: receiver.open == 0)
    assert [command.split()[0] for command in receiver.commands] == ["EHLO"]


async def test_an_intent_that_nobody_waits_for_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    """The recipient is refused before the intent is; asyncio has nothing to complain of."""
    journal = Journal(then=later)
    async with Receiver(script={"rcpt": "550 5.1.1 no"}) as receiver, slot(receiver) as connections:
        assert (await journal.deliver(connections)).class_ == "user_unknown"
    journal.futures.pop().set_exception(ConnectionResetError("aborted"))
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == []


async def test_a_cancelled_send_leaves_its_intent_alone() -> None:
    """The future is its reporter's: it is not cancelled under its hands."""
    journal = Journal(then=later)
    async with Receiver() as receiver, slot(receiver) as connections:
        sending = asyncio.create_task(journal.deliver(connections))
        await until(lambda: "DATA" in receiver.commands)
        await asyncio.sleep(0.05)  # until it waits
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert sending.cancelled() and not journal.futures[0].cancelled()
        journal.futures[0].set_result(1)


async def test_a_send_that_gets_another_connection_has_another_intent() -> None:
    """The idle connection was closed: the second intent names the new one, and the dot waits for it."""
    journal = Journal()
    script = {"mail": ["250 ok", Drop(), "250 ok"]}
    async with Receiver(script=script) as receiver, slot(receiver) as connections:
        for _ in range(2):
            assert (await journal.deliver(connections)).disposition == "accepted"
    first, stale, second = journal.labels
    assert first == stale != second
    assert [f"{receiver.host}/{session.port}" for session in receiver.sessions] == [first, second]


async def test_a_slow_receiver_costs_one_intent_more() -> None:
    """It took its time for RCPT: ownership is confirmed anew, on the same connection, and the mail goes."""
    journal = Journal()
    async with Receiver(script={"rcpt": Stall(0.2, "250 ok")}) as receiver, slot(receiver) as connections:
        sending = asyncio.create_task(journal.deliver(connections))
        await until(lambda: len(journal.futures) == 1)
        journal.now = GOOD_FOR_S + 0.1
        assert (await sending).disposition == "accepted"
    assert len(journal.labels) == 2 and len(set(journal.labels)) == 1 and len(receiver.sessions) == 1


async def test_a_process_that_slept_is_fenced_before_the_dot() -> None:
    """Its intent was durable when it was stopped; the one it hands over when it wakes is refused, and nothing goes."""

    def first_only(future: asyncio.Future[int]) -> None:
        if len(journal.futures) == 1:
            future.set_result(1)
            journal.now += 60
        else:
            future.set_exception(ConnectionResetError("fenced"))

    journal = Journal(then=first_only)
    async with Receiver() as receiver, slot(receiver) as connections:
        with pytest.raises(ConnectionResetError, match="fenced"):
            await journal.deliver(connections)
        await until(lambda: receiver.open == 0)
    assert receiver.messages == [] and len(journal.futures) == 2


async def test_intents_that_are_never_confirmed_in_time_end_the_attempt() -> None:
    """Each took longer than it is good for: the connection is cut, and the error tells age and limit."""

    def slow(future: asyncio.Future[int]) -> None:
        journal.now += 7
        future.set_result(1)

    journal = Journal(then=slow)
    async with Receiver() as receiver, slot(receiver) as connections:
        with pytest.raises(StaleIntentError, match=r"7\.0 s old, and after 6 s"):
            await Scene(connections, journal.intents).settle()
        await until(lambda: receiver.open == 0)
    assert receiver.messages == [] and len(journal.futures) == TRIES


@pytest.mark.parametrize("renewed", [False, True], ids=["first-intent", "renewed"])
async def test_a_change_of_mind_while_the_intent_is_on_its_way_stops_the_send(renewed: bool) -> None:
    """A complaint comes while the send waits for its intent, the second one included: it is looked at after that."""

    def meanwhile(future: asyncio.Future[int]) -> None:
        if not renewed or len(journal.futures) > 1:
            scene.suppress()
        else:
            asyncio.get_running_loop().call_soon(setattr, journal, "now", 60.0)
        future.set_result(1)

    journal = Journal(then=meanwhile)
    async with Receiver() as receiver, slot(receiver) as connections:
        scene = Scene(connections, journal.intents)
        outcome = await scene.settle()
    assert (outcome.delivery.type, len(journal.futures)) == ("suppressed", 2 if renewed else 1)
    assert receiver.messages == []
