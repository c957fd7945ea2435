"""Builders of the delivery tests: settings, messages, slots, connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from schemas.events.upstream import Via
from streams.delivery.connection import Connection, open_connection, opportunistic_tls
from streams.delivery.pool import SlotConnections
from streams.delivery.routes import Router, Target
from streams.runtime.settings import DnsSettings, SmtpSettings
from tests.support.dns import DnsServer
from tests.support.receiver import Receiver

SENDER = "bounce+1@bounce.acme.example"
RECIPIENT = "taro@docomo.example"
MESSAGE = b"From: news@acme.example\r\nSubject: hi\r\n\r\nHello\r\n"
TLS = opportunistic_tls()


class Witness:
    """A witness that notes the labels of connections and does what a test asks for before the dot."""

    send_id = "5e" * 16

    def __init__(self, *, before_dot: Callable[[], None] = lambda: None) -> None:
        self.labels: list[str] = []
        self._before_dot = before_dot

    def mail_goes(self, connection: str) -> None:
        """Note it."""
        self.labels.append(connection)

    async def before_dot(self) -> None:
        """Do it."""
        self._before_dot()


def smtp_settings(**more: Any) -> SmtpSettings:
    """Settings with the times of a test: short enough to wait for, long enough for a busy machine."""
    times = {
        "connect_timeout_s": 5,
        "command_timeout_s": 5,
        "data_timeout_s": 5,
        "block_timeout_s": 5,
        "final_timeout_s": 5,
    }
    return SmtpSettings(**(times | more))


def router(server: DnsServer | None = None, *, seed: int = 1, timeout_s: float = 5.0, **smtp: Any) -> Router:
    """A router that asks the test's DNS."""
    dns = DnsSettings(servers=server.address if server else "127.0.0.1:1", timeout_s=timeout_s)
    return Router.seeded(smtp=smtp_settings(**smtp), dns=dns, seed=seed)


async def connect(receiver: Receiver, **settings: Any) -> Connection:
    """A connection to the receiver, as a slot at 127.0.0.1 opens it."""
    return await open_connection(
        Target(host="receiver.example", address=receiver.host, port=receiver.port),
        source="127.0.0.1",
        ehlo="m0.mail.example",
        via="127.0.0.1",
        settings=smtp_settings(**settings),
        tls=TLS,
    )


@asynccontextmanager
async def slot(receiver: Receiver, *, address: str = "127.0.0.2", **settings: Any) -> AsyncIterator[SlotConnections]:
    """A slot at an address whose mail all goes to the receiver."""
    chosen = smtp_settings(route=f"smarthost:{receiver.host}:{receiver.port}", **settings)
    routes = Router.seeded(smtp=chosen, dns=DnsSettings(), seed=1)
    connections = SlotConnections(Via(kind="bind", address=address), "m0.mail.example", routes, chosen)
    try:
        yield connections
    finally:
        await connections.close()


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Poll until the condition holds."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # the condition is a receiver's, which has no event to wait for
            await asyncio.sleep(0.01)
