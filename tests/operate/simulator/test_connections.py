"""The log of connections, and what a receiver does after the dot, over real sockets."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from streams.operate.simulator import Ended, Entry, read_connections, read_log
from streams.operate.simulator.message import unsigned
from tests.operate.simulator.builders import message, raw_client, send, simulator

pytestmark = pytest.mark.integration
Line = TypeVar("Line", Ended, Entry)
ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<%b>\r\n"


def ends(path: Path) -> list[tuple[str, str, int]]:
    """How each connection ended, where it stood, what it had brought."""
    return [(one.how, one.stage, one.accepted) for one in read_connections(path)]


async def until(read: Callable[[Path], Iterator[Line]], path: Path, count: int) -> list[Line]:
    """So many lines are there."""
    async with asyncio.timeout(5):
        while len(found := list(read(path))) < count:  # noqa: ASYNC110  # a file of another's has no event
            await asyncio.sleep(0.01)
    return found


async def test_each_connection_is_written_down_at_its_end(tmp_path: Path) -> None:
    """QUIT, a client that goes in the envelope, one in the body, one after a message, and the simulator's own end."""
    file = tmp_path / "connections.jsonl"
    whole = ENVELOPE % b"taro@c.example" + b"DATA\r\n" + message() + b".\r\n"
    async with simulator(tmp_path, connections=file) as (running, _):
        for number, (said, replies) in enumerate(
            [
                (b"QUIT\r\n", 1),
                (ENVELOPE % b"taro@c.example", 2),
                (ENVELOPE % b"taro@c.example" + b"DATA\r\nhalf of", 3),
                (whole, 4),
            ],
            start=1,
        ):
            async with raw_client(running.smtp_port) as client:
                client.write(said)
                await client.codes(replies)
            await until(read_connections, file, number)
        async with raw_client(running.smtp_port):
            pass
        await until(read_connections, file, 5)
        stays = raw_client(running.smtp_port)
        await stays.__aenter__()
    assert ends(file) == [
        ("quit", "idle", 0),
        ("lost", "envelope", 0),
        ("lost", "body", 0),
        ("lost", "idle", 1),
        ("lost", "idle", 0),
        ("stopped", "idle", 0),
    ]
    await stays.__aexit__(None, None, None)


async def test_a_message_names_its_connection(tmp_path: Path) -> None:
    """Peer and port of an accepted message are those of one connection, open when it came."""
    file = tmp_path / "connections.jsonl"
    async with simulator(tmp_path, connections=file) as (running, log):
        assert [await send(running.smtp_port, f"u{number}@a.example") for number in range(3)] == [250] * 3
        ended = await until(read_connections, file, 3)
        entries = list(read_log(log))
    assert {(one.peer, one.port) for one in entries} == {(one.peer, one.port) for one in ended}
    assert len({one.port for one in entries}) == 3
    by_port = {one.port: one for one in ended}
    assert all(by_port[one.port].opened <= one.at <= by_port[one.port].ended for one in entries)


@pytest.mark.alone
async def test_stalled_after_the_dot(tmp_path: Path) -> None:
    """`stall` has the message in its log at once, says 250 after the delay, and the next time at once."""
    file = tmp_path / "connections.jsonl"
    async with simulator(tmp_path, stall_s=0.3, connections=file) as (running, log):
        async with raw_client(running.smtp_port) as client:
            started = time.monotonic()
            client.write(ENVELOPE % b"stall-1@c.example" + b"DATA\r\n" + message() + b".\r\n")
            assert await client.codes(3) == [b"250", b"250", b"354"]
            entries = await until(read_log, log, 1)
            assert time.monotonic() - started < 0.3
            assert await client.codes(1) == [b"250"]
            assert time.monotonic() - started >= 0.3
        assert [(one.code, one.outcome) for one in entries] == [(250, "stall")]
        assert await send(running.smtp_port, "stall-1@c.example") == 250
        assert [one.outcome for one in read_log(log)] == ["stall", "accept"]


async def test_a_sender_that_leaves_a_stall(tmp_path: Path) -> None:
    """Its message stays accepted, once, and its connection's line says that the reply was held back."""
    file = tmp_path / "connections.jsonl"
    async with simulator(tmp_path, stall_s=5.0, connections=file) as (running, log):
        async with raw_client(running.smtp_port) as client:
            client.write(ENVELOPE % b"stall-1@c.example" + b"DATA\r\n" + message() + b".\r\n")
            await client.codes(3)
            await until(read_log, log, 1)
        await until(read_connections, file, 1)
        assert [one.outcome for one in read_log(log)] == ["stall"]
    assert ends(file) == [("lost", "reply", 1)]


async def test_so_many_times(tmp_path: Path) -> None:
    """`dropafter3x` takes the message and drops the connection three times, each with its line; then it is as any."""
    file = tmp_path / "connections.jsonl"
    async with simulator(tmp_path, connections=file) as (running, log):
        codes = [await send(running.smtp_port, "dropafter3x-7@a.example") for _ in range(4)]
        assert codes == [0, 0, 0, 250]
        assert [one.outcome for one in read_log(log)] == ["dropafter"] * 3 + ["accept"]
        assert len({one.unsigned_sha256 for one in read_log(log)}) == 1
        await until(read_connections, file, 4)
    assert ends(file)[:3] == [("dropped", "idle", 1)] * 3


def test_a_message_without_its_signatures() -> None:
    """Both signatures go, folded lines and all; the body and every other field stay."""
    rest = b"From: a@b.example\r\nX-DKIM-Signature: stays\r\n folded\r\n\r\nDKIM-Signature: in the body\r\n"
    signed = b"DKIM-Signature: v=1;\r\n\tb=abc\r\n def\r\ndkim-signature: v=1; b=x\r\n" + rest
    assert unsigned(signed) == rest == unsigned(rest)
    assert unsigned(b"DKIM-Signature: no end") == b""
