"""Distance on loopback: a TCP proxy that hands on what it reads half a round trip later, in order, both ways."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

_CHUNK: Final = 65_536


@contextlib.asynccontextmanager
async def far(port: int, *, round_trip_s: float) -> AsyncIterator[int]:
    """The port behind which 127.0.0.1:`port` is so far away; its connections end with the block."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, back))
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(_carry(source, target, round_trip_s / 2))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(_CHUNK):
            loop.call_later(delay_s, target.write, chunk)  # timers of the same delay ring in their order
        await asyncio.sleep(delay_s)
    target.close()
