"""The same messages over one connection each, by our transaction and by aiosmtplib's `sendmail`, in turn.

1. A sink, and the proxy that puts it half a round trip away.
2. Each round: a connection of each side, opened before the clock starts; who begins alternates.
3. The sink's own count must have grown by what was sent.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import aiosmtplib
import msgspec

from streams.delivery.connection import Connection, open_connection, opportunistic_tls
from streams.delivery.routes import Target
from streams.delivery.smtp import deliver
from streams.operate.bench import sink
from streams.operate.bench.delay.far import far
from streams.operate.errors import FleetError
from streams.runtime.settings import SmtpSettings

Side = Literal["ours", "aiosmtplib"]
SIDES: Final[tuple[Side, Side]] = ("ours", "aiosmtplib")
EHLO: Final = "m0.bench.example"
SENDER: Final = "b@bounce.bench.example"
RECIPIENT: Final = "p0@mail.example"
# 10 KB, as every message of these benches: no dot at the front of a line, so that both sides write the same.
BODY: Final = b"Subject: far away\r\n\r\n" + (b"x" * 76 + b"\r\n") * 130
# A command's answer takes a round trip; a sink that says nothing for so long is gone.
_ANSWER_S: Final = 30.0


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """Messages a second over one connection, of one round; what the sink counted of them."""

    round: int
    side: Side
    per_s: float
    counted: int


class Benched(msgspec.Struct, frozen=True, kw_only=True):
    """All rounds."""

    messages: int
    round_trip_ms: float
    sink: str
    ran: tuple[Ran, ...]

    def per_s(self, side: Side) -> dict[int, float]:
        """A side's rate by round."""
        return {one.round: one.per_s for one in self.ran if one.side == side}


def benched(folder: Path, done: Callable[[str], None], *, messages: int, rounds: int, round_trip_ms: float) -> Benched:
    """Run it.  Raises FleetError where the sink does not take what it is sent."""
    with sink.receiving(folder) as receiver:
        ran = asyncio.run(_rounds(receiver, done, messages=messages, rounds=rounds, round_trip_s=round_trip_ms / 1000))
    return Benched(messages=messages, round_trip_ms=round_trip_ms, sink=sink.kind(), ran=tuple(ran))


async def _rounds(
    receiver: sink.Sink, done: Callable[[str], None], *, messages: int, rounds: int, round_trip_s: float
) -> list[Ran]:
    found = []
    async with far(receiver.port, round_trip_s=round_trip_s) as port:
        for number in range(1, rounds + 1):
            for side in SIDES if number % 2 else reversed(SIDES):
                before = receiver.count()
                took_s = await (_ours if side == "ours" else _plain)(port, messages)
                counted = await _counted(receiver, before + messages) - before
                found.append(Ran(round=number, side=side, per_s=messages / took_s, counted=counted))
                done(f"round {number}  {side}: {messages / took_s:.2f} messages/s over one connection")
    return found


async def _ours(port: int, messages: int) -> float:
    settings = SmtpSettings(starttls="never", messages_per_connection=messages)
    target = Target(host="127.0.0.1", address="127.0.0.1", port=port)
    connection: Connection = await open_connection(
        target, source=None, ehlo=EHLO, via="bench", settings=settings, tls=opportunistic_tls()
    )

    async def send() -> None:
        result = await deliver(connection, SENDER, RECIPIENT, BODY)
        if result.disposition != "accepted":
            raise FleetError(f"the sink did not take a message: {result.stage} {result.reply}")

    try:
        return await _timed(send, messages)
    finally:
        await connection.quit()


async def _plain(port: int, messages: int) -> float:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname=EHLO, start_tls=False, timeout=_ANSWER_S)
    await client.connect()
    await client.ehlo()
    try:
        return await _timed(lambda: client.sendmail(SENDER, RECIPIENT, BODY), messages)
    finally:
        await client.quit()


async def _timed(send: Callable[[], Awaitable[object]], messages: int) -> float:
    began = time.monotonic()
    for _ in range(messages):
        await send()
    return time.monotonic() - began


async def _counted(receiver: sink.Sink, wanted: int) -> int:
    """What the sink says, once it says enough: it writes its count a little after it answered."""
    for _ in range(50):
        if receiver.count() >= wanted:
            break
        await asyncio.sleep(0.02)
    return receiver.count()
