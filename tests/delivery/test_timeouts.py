"""RFC 5321 4.5.3.2: each wait has its own limit, and each limit that is met ends the connection."""

from __future__ import annotations

import socket
import time

import pytest

from agents.sender import longest_attempt_s
from streams.delivery.smtp import deliver
from streams.runtime.settings import SmtpSettings
from tests.delivery.builders import MESSAGE, RECIPIENT, SENDER, connect, slot, smtp_settings, until
from tests.delivery.test_pool import server_tls
from tests.delivery.test_smtp import BOTH
from tests.support.receiver import Receiver, Script, Stall

SHORT_S = 0.15
# What a receiver says nothing for, and what all other limits are: far longer than a test waits.
LONG_S = 60.0
LIMITS = ("command_timeout_s", "data_timeout_s", "block_timeout_s", "final_timeout_s")


def only(short: str) -> dict[str, float]:
    """Limits of which that one alone is short."""
    return {name: SHORT_S if name == short else LONG_S for name in LIMITS}


def test_the_limits_are_those_of_the_rfc() -> None:
    """Greeting, MAIL and RCPT 5 minutes, DATA 2, a block of the message 3, the reply after the dot 10."""
    limits = SmtpSettings()
    assert limits.command_timeout_s == 5 * 60
    assert limits.data_timeout_s == 2 * 60
    assert limits.block_timeout_s == 3 * 60
    assert limits.final_timeout_s == 10 * 60


def test_the_longest_attempt_holds_them_all() -> None:
    """Or the watchdog would take a slow receiver for a worker that hangs."""
    limits = SmtpSettings()
    later = 6 * limits.command_timeout_s + limits.data_timeout_s + limits.block_timeout_s + limits.final_timeout_s
    assert longest_attempt_s(limits) >= limits.connect_timeout_s + later


@BOTH
@pytest.mark.parametrize(
    ("stage", "limit", "disposition"),
    [
        ("mail", "command_timeout_s", "soft"),
        ("rcpt", "command_timeout_s", "soft"),
        ("data", "data_timeout_s", "soft"),
        ("dot", "final_timeout_s", "uncertain"),
    ],
)
async def test_each_reply_has_its_own_limit(
    extensions: tuple[str, ...], stage: str, limit: str, disposition: str
) -> None:
    """Only that limit is short: the connection is closed, and what is unknown is uncertain from the dot on alone."""
    async with Receiver(extensions=extensions, script={stage: Stall(LONG_S)}) as receiver:
        connection = await connect(receiver)
        connection.settings = smtp_settings(**only(limit))
        began = time.monotonic()
        result = await deliver(connection, SENDER, RECIPIENT, MESSAGE)
        assert (result.disposition, result.class_, result.stage) == (disposition, "timeout", stage)
        assert not connection.usable
        await until(receiver.left_alone)
        assert time.monotonic() - began < LONG_S / 2


@BOTH
async def test_a_reset_that_is_not_answered_ends_the_connection(extensions: tuple[str, ...]) -> None:
    """RSET has a command's limit; the message that needed it was not begun."""
    script: Script = {"rcpt": "550 5.1.1 no", "rset": Stall(LONG_S)}
    async with Receiver(extensions=extensions, script=script) as receiver:
        connection = await connect(receiver)
        await deliver(connection, SENDER, RECIPIENT, MESSAGE)
        connection.settings = smtp_settings(**only("command_timeout_s"))
        result = await deliver(connection, SENDER, RECIPIENT, MESSAGE)
        assert (result.disposition, result.class_, result.stage) == ("soft", "timeout", "mail")
        assert not connection.usable
        await until(receiver.left_alone)


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "helo", "starttls"])
async def test_an_opening_that_takes_too_long_is_ended(stage: str) -> None:
    """Each step of the opening has a command's limit; nothing stays open to that host."""
    script: Script = {stage: Stall(LONG_S)}
    if stage == "helo":
        script["ehlo"] = "502 5.5.1 unknown"
    tls = server_tls() if stage == "starttls" else None
    began = time.monotonic()
    async with Receiver(script=script, tls=tls) as receiver:
        limits = only("command_timeout_s") | {"starttls": "require" if tls else "never"}
        async with slot(receiver, **limits) as connections:
            result = await connections.deliver("docomo.example", SENDER, RECIPIENT, MESSAGE)
            assert (result.disposition, result.smtp_code) == ("soft", None)
            assert result.stage == ("ehlo" if stage == "helo" else stage)
            assert result.class_ == ("tls" if tls else "connection_failed")
            assert connections.open_connections == 0
        await until(receiver.left_alone)
    assert time.monotonic() - began < LONG_S / 2


async def test_a_block_that_nobody_takes_ends_the_connection() -> None:
    """The receiver stops reading: the blocks' own limit counts, and as the dot never left, it is soft."""
    async with Receiver(extensions=("PIPELINING",), reads=False) as receiver:
        connection = await connect(receiver)
        connection.settings = smtp_settings(**only("block_timeout_s"))
        result = await deliver(connection, SENDER, RECIPIENT, (b"x" * 76 + b"\r\n") * 400_000)
    assert (result.disposition, result.class_, result.stage) == ("soft", "timeout", "dot")
    assert not connection.usable


async def test_a_slow_message_has_the_limit_anew_for_each_block() -> None:
    """A receiver that takes a little now and then is waited for, beyond the limit of one block."""
    async with Receiver(extensions=("PIPELINING",), pauses=[0.3] * 5) as receiver:
        # With the kernels' usual buffers of megabytes nothing would move for longer than this test takes.
        assert receiver.server is not None
        receiver.server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection = await connect(receiver)
        ours = connection.wire._transport.get_extra_info("socket")
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        connection.settings = smtp_settings(**only("block_timeout_s") | {"block_timeout_s": 1.0})
        began = time.monotonic()
        result = await deliver(connection, SENDER, RECIPIENT, (b"x" * 76 + b"\r\n") * 25_000)
        connection.wire.close()
    assert result.disposition == "accepted"
    assert time.monotonic() - began > 1.0
