"""What the simulator's tests share: a simulator of their own, messages, clients that speak raw SMTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib

from streams.operate.simulator import Listening, SimulatorSettings, listening

SENDER = "news@acme.example"


def message(number: int = 1, *, body: bytes = b"hello\r\n") -> bytes:
    """A small message with a Message-ID of its own."""
    return b"From: news@acme.example\r\nMessage-ID: <m%d@acme.example>\r\nSubject: hi\r\n\r\n%b" % (number, body)


@asynccontextmanager
async def simulator(folder: Path, **settings: Any) -> AsyncIterator[tuple[Listening, Path]]:
    """A simulator in this process, and its log."""
    log = folder / "log.jsonl"
    async with listening(SimulatorSettings(log=log, **settings)) as running:
        yield running, log


async def send(port: int, recipient: str, data: bytes | None = None, *, sender: str = SENDER) -> int:
    """One message over a connection of its own by aiosmtplib: the reply's code, 0 when the connection was lost."""
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=port, local_hostname="client.example", start_tls=False, timeout=5
    )
    try:
        await client.connect()
        await client.sendmail(sender, [recipient], data or message())
    except aiosmtplib.SMTPRecipientsRefused as error:
        return error.recipients[0].code
    except aiosmtplib.SMTPResponseException as error:
        return error.code
    except aiosmtplib.SMTPServerDisconnected:
        return 0
    finally:
        client.close()
    return 250


class RawClient:
    """Sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        """In one write."""
        self._writer.write(data)

    async def codes(self, count: int) -> list[bytes]:
        """The codes of the next replies, continuation lines left out."""
        found: list[bytes] = []
        async with asyncio.timeout(5):
            while len(found) < count:
                line = await self._reader.readuntil(b"\r\n")
                if line[3:4] == b" ":
                    found.append(line[:3])
        return found

    async def closed(self) -> bool:
        """Whether the server closes now, with nothing more to say."""
        async with asyncio.timeout(5):
            return await self._reader.read() == b""


@asynccontextmanager
async def raw_client(port: int) -> AsyncIterator[RawClient]:
    """A connection that has said EHLO."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = RawClient(reader, writer)
    try:
        client.write(b"EHLO raw.example\r\n")
        assert await client.codes(2) == [b"220", b"250"]
        yield client
    finally:
        writer.close()
