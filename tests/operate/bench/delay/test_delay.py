"""`evenpost bench delay`: the distance is there, and two round trips a message are what it costs."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from typer.testing import CliRunner

from streams.operate.bench.delay import verdict
from streams.operate.bench.delay.far import far
from streams.operate.bench.delay.work import Benched, Ran, Side
from streams.operate.cli import app


@pytest.mark.integration
def test_a_far_receiver_gets_twice_as_much_over_one_connection() -> None:
    """Ours needs two round trips of 30 ms a message, aiosmtplib four; the receiver counts each message."""
    command = ["bench", "delay", "--messages", "8", "--rounds", "1", "--round-trip-ms", "30", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    line = json.loads(result.stdout)
    assert line["ok"] is True
    figures = line["figures"]
    assert figures["per_s"]["ours"] < 1000 / (2 * 30)
    assert figures["ratio"]["median"] >= verdict.LIMIT


async def test_what_is_said_arrives_in_order_half_a_round_trip_later() -> None:
    """A hundred words there and back again: each once, none sooner than the distance allows, and the end of it too."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while word := await reader.readline():
            writer.write(word)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with far(server.sockets[0].getsockname()[1], round_trip_s=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        words = [f"{number}\n".encode() for number in range(100)]
        writer.writelines(words)
        first = await reader.readline()
        assert time.monotonic() - began >= 0.05
        assert [first] + [await reader.readline() for _ in words[1:]] == words
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    server.close()


@pytest.mark.parametrize(("ours", "counted", "failed"), [(9.0, 30, 0), (8.9, 30, 1), (9.0, 29, 1)])
def test_the_limit_is_met_exactly_and_a_message_that_is_missing_fails(ours: float, counted: int, failed: int) -> None:
    """1.8 is enough, the least below is not."""
    rates: dict[Side, float] = {"ours": ours, "aiosmtplib": 5.0}
    ran = tuple(
        Ran(round=1, side=side, per_s=rate, counted=counted if side == "ours" else 30) for side, rate in rates.items()
    )
    run = Benched(messages=30, round_trip_ms=50.0, sink="smtp-sink", ran=ran)
    assert sum(not one.ok for one in verdict.checks(run)) == failed
