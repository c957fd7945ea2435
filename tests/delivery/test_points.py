"""Where a sender kills itself, and what the receiver has of the message then."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from streams.runtime.points import KILL_ENV
from tests.delivery.builders import MESSAGE, until
from tests.support.receiver import Receiver

WHOLE = MESSAGE + b".\r\n"


async def killed(receiver: Receiver, point: str) -> tuple[int, list[str]]:
    """How a program that sends one message ended, and what it said."""
    environment = os.environ | {KILL_ENV: point}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.delivery.one_send", str(receiver.port),
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(60):
        said, _ = await child.communicate()
    await until(lambda: receiver.open == 0)
    assert child.returncode is not None
    return child.returncode, said.decode().split()


@pytest.mark.parametrize(
    ("point", "said", "body", "taken"),
    [
        ("before-intent", [], None, 0),
        ("after-mail", ["mail"], b"", 0),
        ("after-intent", ["mail", "durable"], b"", 0),
        ("mid-body", ["mail", "durable"], WHOLE[: len(WHOLE) // 2], 0),
        ("after-dot", ["mail", "durable"], WHOLE, 1),
        ("after-250", ["mail", "durable"], WHOLE, 1),
        ("after-outcome", ["mail", "durable", "told"], WHOLE, 1),
    ],
)
async def test_a_sender_dies_at_the_point_that_is_named(
    point: str, said: list[str], body: bytes | None, taken: int
) -> None:
    """By SIGKILL, with exactly so much said to the receiver; a point of others is passed by."""
    async with Receiver() as receiver:
        code, heard = await killed(receiver, point)
    everything = b"".join(receiver.sessions[0].chunks)
    envelope, data, after = everything.partition(b"DATA\r\n")
    assert code == (0 if point == "after-outcome" else -signal.SIGKILL)
    assert heard == said
    assert (b"MAIL" in envelope, after if data else None) == (body is not None, body)
    assert len(receiver.messages) == taken


async def test_only_the_time_that_is_named_is_the_last() -> None:
    """The first time at a point that is named for the second is like any other."""
    async with Receiver() as receiver:
        code, heard = await killed(receiver, "after-dot:2")
    assert (code, heard, len(receiver.messages)) == (0, ["mail", "durable", "told"], 1)
