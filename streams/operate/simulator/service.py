"""The simulator as one thing: log, SMTP, DNS, ready file, signals, summary.

1. `listening` opens everything and says the ports; who embeds the simulator (tests, the demo) uses this.
2. `serve` adds the process's side: the ready file when listening, SIGTERM and SIGINT to end, a summary on stderr.
3. `run` is `serve` on uvloop where there is one, with errors as one line and an exit code.
"""

import asyncio
import os
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.name
import msgspec

from streams.operate.simulator.connections import ConnectionLog
from streams.operate.simulator.dns import DnsServer, Zone
from streams.operate.simulator.doors import Doorkeeper, Doors
from streams.operate.simulator.errors import BadFileError, SimulatorError
from streams.operate.simulator.log import MessageLog
from streams.operate.simulator.server import SmtpServer
from streams.operate.simulator.session import Desk
from streams.operate.simulator.settings import SimulatorSettings


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A running simulator; `failure` ends with LogLostError when it must stop.  `paces`: its hidden rates by domain."""

    smtp_port: int
    dns_port: int | None
    paces: dict[str, float]
    log: MessageLog
    failure: asyncio.Future[None]


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    smtp_port: int
    dns_port: int | None
    paces: dict[str, float]
    pid: int


@asynccontextmanager
async def listening(settings: SimulatorSettings) -> AsyncIterator[Listening]:
    """A simulator for as long as the block runs.  Raises CannotListenError, BadFileError, BadSettingError."""
    zone = Zone(txt=_read_txt(settings.txt), mx_address=settings.mx_address)
    doors = Doors.read(settings.pace, settings.block, seed=settings.seed)
    tls = _tls_context(settings)
    log = MessageLog(settings.log, keep_every=settings.keep_every, keep_dir=settings.keep_dir)
    connections = None if settings.connections is None else ConnectionLog(settings.connections)
    desk = Desk(
        log=log,
        hostname=settings.hostname,
        max_size=settings.max_size,
        starttls=tls is not None,
        connections=connections,
        doorkeeper=Doorkeeper(doors) if settings.pace or settings.block else None,
    )
    smtp = SmtpServer(desk, slow_s=settings.slow_s, stall_s=settings.stall_s, tls=tls)
    names = DnsServer(zone)
    try:
        smtp_port = await smtp.listen(settings.host, settings.port)
        try:
            dns_port = None if settings.dns_port is None else await names.listen(settings.host, settings.dns_port)
            try:
                yield Listening(
                    smtp_port=smtp_port, dns_port=dns_port, paces=doors.paces, log=log, failure=smtp.failure
                )
            finally:
                if dns_port is not None:
                    await names.close()
        finally:
            await smtp.close()
    finally:
        log.close()
        if connections is not None:
            connections.close()


async def serve(settings: SimulatorSettings) -> None:
    """Run until SIGTERM or SIGINT.  Raises SimulatorError when it can't start, or its log can't be written."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    started = time.monotonic()
    async with listening(settings) as simulator:
        if settings.ready_file is not None:
            _write_ready(settings.ready_file, simulator)
        _tell(_greeting(settings, simulator))
        stopped = loop.create_task(stop.wait())
        ends: set[asyncio.Future[Any]] = {stopped, simulator.failure}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        _tell(_summary(simulator.log, time.monotonic() - started))
        if simulator.failure.done():
            simulator.failure.result()


def run(settings: SimulatorSettings) -> int:
    """Serve to the end; the process's exit code."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(settings))
    except SimulatorError as error:
        _tell(f"simulate-smtp: {error}")
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    with suppress(ImportError):
        import uvloop

        return uvloop.Loop
    return None


def _read_txt(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        records = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        for name in records:
            dns.name.from_text(name)
    except (OSError, msgspec.MsgspecError, UnicodeError, dns.exception.DNSException) as error:
        reason = f'{error}; must be JSON like {{"s1._domainkey.acme.example": "v=DKIM1; k=rsa; p=…"}}'
        raise BadFileError("TXT file", path, reason) from error
    return records


def _tls_context(settings: SimulatorSettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:
        reason = f"{error}; must be a PEM certificate, its key in the same file or given beside it"
        raise BadFileError("TLS certificate", settings.tls_cert, reason) from error
    return context


def _write_ready(path: Path, simulator: Listening) -> None:
    """Whole or not at all: who waits for the file reads it the moment it is there."""
    ready = _Ready(smtp_port=simulator.smtp_port, dns_port=simulator.dns_port, paces=simulator.paces, pid=os.getpid())
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(msgspec.json.encode(ready) + b"\n")
        partial.replace(path)
    except OSError as error:
        raise BadFileError("ready file", path, error.strerror or str(error)) from error


def _greeting(settings: SimulatorSettings, simulator: Listening) -> str:
    names = "" if simulator.dns_port is None else f", DNS on {settings.host}:{simulator.dns_port}"
    return f"simulate-smtp: SMTP on {settings.host}:{simulator.smtp_port}{names}, log {settings.log}; Ctrl-C ends it"


def _summary(log: MessageLog, seconds: float) -> str:
    refused = ", ".join(f"{name} {count:,}" for name, count in log.refused.most_common())
    return (
        f"simulate-smtp: accepted {log.accepted:,} ({log.octets / 1e6:,.1f} MB), "
        f"refused {log.refused.total():,}{f' ({refused})' if refused else ''}, in {seconds:,.0f} s"
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # a command's own words to its user
