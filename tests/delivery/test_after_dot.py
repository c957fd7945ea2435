"""Between the final dot and its reply nobody knows (RFC 5321 4.5.3.2.6): what a stall and a break there make of it."""

from __future__ import annotations

import asyncio

import pytest

from streams.delivery.pool import SlotConnections
from streams.delivery.smtp import Result
from tests.delivery.builders import MESSAGE, SENDER, slot
from tests.delivery.test_smtp import BOTH
from tests.support.receiver import Drop, Receiver, Script, Stall


@BOTH
async def test_a_receiver_that_stalls_after_the_dot_gets_the_message_once(extensions: tuple[str, ...]) -> None:
    """R4: it says 250 within the limit; each message is accepted once, and nothing is sent again."""
    stall = Stall(0.3, "250 2.0.0 ok")
    async with Receiver(extensions=extensions, script={"dot": stall}) as receiver, slot(receiver) as connections:
        results = await asyncio.gather(*(send_to(connections, number) for number in range(8)))
    assert [result.disposition for result in results] == ["accepted"] * 8
    assert sorted(message.envelope_to[0] for message in receiver.messages) == recipients(8)


@BOTH
@pytest.mark.parametrize("abort", [False, True], ids=["closed", "reset"])
async def test_each_message_whose_connection_dies_after_the_dot_is_uncertain(
    extensions: tuple[str, ...], abort: bool
) -> None:
    """R5: never guessed, never sent again by the way; those to whom the receiver speaks are accepted."""
    script: Script = {"dot": lambda path: Drop(abort=abort) if next(times) % 2 else "250 2.0.0 ok"}
    times = iter(range(1000))
    async with Receiver(extensions=extensions, script=script) as receiver, slot(receiver) as connections:
        results = await asyncio.gather(*(send_to(connections, number) for number in range(24)))
    assert sorted({(result.disposition, result.class_, result.stage) for result in results}) == [
        ("accepted", "accepted", "dot"),
        ("uncertain", "connection_lost", "dot"),
    ]
    assert [result.disposition for result in results].count("uncertain") == 12
    assert sum(command.startswith("MAIL") for command in receiver.commands) == 24


def recipients(count: int) -> list[str]:
    """The recipients of so many messages, sorted."""
    return sorted(f"u{number}@docomo.example" for number in range(count))


async def send_to(connections: SlotConnections, number: int) -> Result:
    """Deliver the test message to the recipient of that number."""
    return await connections.deliver("docomo.example", SENDER, f"u{number}@docomo.example", MESSAGE)
