"""The connections of one slot: the way from a domain and a message to a result.

1. The route: by the domain's MX, or the slot's own smarthost.
2. A connection: an idle one to the first host, or a new one within the limits (`places`); where a host does not
   answer, or answers that it does not want us, the next MX (RFC 5321 section 5.1).
3. One transaction (`smtp`).  A connection that had idled and turns out to be closed is replaced once: nothing was
   asked on it yet.
4. Back to the idle ones, for a while; after so many messages, or so long, it is ended with QUIT.

Every outcome is a `Result`; only the witness's own exceptions and wrong arguments pass through.
"""

import asyncio
import contextlib
from typing import Final, Literal

from schemas.events.upstream import Via
from streams.delivery import smtp
from streams.delivery.connection import Connection, open_connection, opportunistic_tls
from streams.delivery.errors import ConnectError, EgressUnavailableError, PermanentRouteError, RouteError
from streams.delivery.places import Places
from streams.delivery.replies import Stage
from streams.delivery.routes import Route, Router, Target
from streams.delivery.shaping import Limits, Shaping
from streams.delivery.smtp import CLOSING, Result, Witness
from streams.runtime.points import Points
from streams.runtime.settings import SmtpSettings

_TLS: Final = opportunistic_tls()
_UNLIMITED: Final = Limits()
# Seconds that a host which did not answer is tried after the domain's others: else each mail to a domain whose first
# MX is dead would wait out the connect time (30 s) before it takes the second.
DOWN_S: Final = 60.0
MAX_DOWN: Final = 1000  # hosts remembered so; forgetting them costs a few waits


class SlotConnections:
    """One slot's way out.  Not shared between event loops; `close` it when the slot is given up."""

    def __init__(
        self,
        via: Via,
        ehlo: str,
        router: Router,
        settings: SmtpSettings,
        *,
        shaping: Shaping | None = None,
        points: Points | None = None,
    ) -> None:
        """Without `shaping`, the settings' limits hold for every provider."""
        self._via = via
        self._ehlo = ehlo
        self._router = router
        self._settings = settings
        self._shaping = shaping
        self._by_mx = via.kind != "smarthost" and settings.route == "mx"
        self._points = points
        # None = any address of this machine; "" is none, so that a slot without its own sends from no other's.
        self._source = via.address or "" if via.kind == "bind" else None
        self.label = via.address or "" if via.kind == "bind" else f"smarthost:{via.host}:{via.port}"
        self._places: Places[Connection] = Places(
            per_host=settings.connections_per_host, in_all=settings.connections_per_slot, end=self._retire
        )
        self._endings: set[asyncio.Task[None]] = set()
        self._down: dict[str, float] = {}
        self._closed = False

    @property
    def open_connections(self) -> int:
        """How many connections the slot holds, opening and ending ones included."""
        return self._places.total

    async def deliver(
        self,
        domain: str,
        envelope_from: str,
        envelope_to: str,
        data: bytes,
        *,
        provider: str = "",
        witness: Witness | None = None,
    ) -> Result:
        """Try once to deliver one message, within its provider's limits for connections.

        Raises ValueError, and what the witness raises, as `smtp.deliver` does.
        """
        try:
            route = await self._route(domain)
        except RouteError as fault:
            permanent = isinstance(fault, PermanentRouteError)
            return self._without_reply("hard" if permanent else "soft", fault.class_, str(fault), "route")
        hosts: dict[str, list[Target]] = {}
        for target in route.targets:
            if self._source is None or target.is_ipv6 == (":" in self._source):
                hosts.setdefault(target.host, []).append(target)
        if not hosts:
            family = "IPv6" if ":" in (self._source or "") else "IPv4"
            text = f"{domain}: no mail host has an {family} address, which is all that {self.label} can reach"
            return self._without_reply("soft", "no_mail_host", text, "route")
        failure: ConnectError | None = None
        for host in self._up_first(list(hosts)):
            try:
                return await self._on_host(host, hosts[host], envelope_from, envelope_to, data, provider, witness)
            except EgressUnavailableError as fault:
                return self._failed(fault)
            except ConnectError as fault:
                if len(self._down) >= MAX_DOWN:
                    self._down.clear()
                self._down[host] = asyncio.get_running_loop().time() + DOWN_S
                failure = failure or fault
        assert failure is not None  # noqa: S101  # each host returned or failed
        return self._failed(failure)

    async def close(self) -> None:
        """End all connections politely.  Deliveries still under way end theirs when they are done."""
        self._closed = True
        for host, connection in self._places.drain():
            self._retire(host, connection)
        while self._endings:
            await asyncio.wait(self._endings)

    def _up_first(self, hosts: list[str]) -> list[str]:
        """The hosts in the route's order, those that did not answer lately last."""
        now = asyncio.get_running_loop().time()
        for host in [host for host in hosts if self._down.get(host, now) < now]:
            del self._down[host]
        return sorted(hosts, key=self._down.__contains__) if self._down else hosts

    async def _route(self, domain: str) -> Route:
        if self._via.kind == "smarthost":
            return await self._router.smarthost(self._via.host or "", self._via.port or self._settings.port)
        return await self._router.resolve(domain)

    async def _on_host(
        self,
        host: str,
        targets: list[Target],
        envelope_from: str,
        envelope_to: str,
        data: bytes,
        provider: str,
        witness: Witness | None,
    ) -> Result:
        """One transaction on a connection to this host.  Raises ConnectError."""
        # A smarthost's connections are its own business: what goes to the provider goes from there.
        limits = self._shaping.limits(provider) if self._shaping is not None and self._by_mx else _UNLIMITED
        self._places.belongs(host, provider, limits.connections)
        connection = await self._places.take(host)
        reused = connection is not None
        if connection is not None and connection.idle_timer is not None:
            connection.idle_timer.cancel()
        try:
            if connection is not None and not connection.usable:
                await connection.quit()
                connection, reused = None, False
            if connection is None:
                connection = await self._open(targets, limits)
            result = await self._transact(connection, envelope_from, envelope_to, data, witness)
            if reused and _went_stale(result):
                connection = None
                connection = await self._open(targets, limits)
                result = await self._transact(connection, envelope_from, envelope_to, data, witness)
        finally:
            self._give_back(host, connection)
        return result

    async def _transact(
        self, connection: Connection, envelope_from: str, envelope_to: str, data: bytes, witness: Witness | None
    ) -> Result:
        return await smtp.deliver(connection, envelope_from, envelope_to, data, witness=witness, points=self._points)

    async def _open(self, targets: list[Target], limits: Limits) -> Connection:
        """A connection to one of a host's addresses.  Raises the first's ConnectError when all fail."""
        failure: ConnectError | None = None
        for target in targets:
            try:
                connection = await open_connection(
                    target, source=self._source, ehlo=self._ehlo, via=self.label, settings=self._settings, tls=_TLS
                )
            except ConnectError as fault:
                failure = failure or fault
                if isinstance(fault, EgressUnavailableError):
                    break
            else:
                connection.messages = min(limits.messages_per_connection or connection.messages, connection.messages)
                return connection
        assert failure is not None  # noqa: S101  # targets is never empty, and each returned or failed
        raise failure

    def _give_back(self, host: str, connection: Connection | None) -> None:
        if connection is None or not connection.wire.usable:
            self._places.free(host)
        elif self._closed or not connection.usable:
            self._places.ending()
            self._retire(host, connection)
        else:
            loop = asyncio.get_running_loop()
            number = self._places.number()
            connection.idle_timer = loop.call_later(self._settings.idle_s, self._idled, number, host, connection)
            self._places.put(number, host, connection)

    def _idled(self, number: int, host: str, connection: Connection) -> None:
        if self._places.remove(number):
            self._retire(host, connection)

    def _retire(self, host: str, connection: Connection) -> None:
        """End a connection in the background; its place is free when the receiver can't count it any more."""
        task = asyncio.create_task(self._end(host, connection), name=f"quit {host}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _end(self, host: str, connection: Connection) -> None:
        with contextlib.suppress(Exception):
            await connection.quit()
        self._places.ended(host)

    def _failed(self, fault: ConnectError) -> Result:
        """No host would have us.  Always soft: a refusal at the greeting is about us, not about the address."""
        if fault.reply is None:
            return self._without_reply("soft", fault.class_, str(fault), fault.stage)
        class_ = fault.class_ if fault.reply.class_.startswith("other_") else fault.reply.class_
        return Result(
            disposition="soft",
            class_=class_,
            smtp_code=fault.reply.smtp_code,
            enhanced=fault.reply.enhanced,
            reply=fault.reply.text,
            stage=fault.stage,
            via=self.label,
            host=fault.host,
        )

    def _without_reply(self, disposition: Literal["soft", "hard"], class_: str, text: str, stage: Stage) -> Result:
        return Result(disposition=disposition, class_=class_, reply=text, stage=stage, via=self.label)


def _went_stale(result: Result) -> bool:
    """Whether the receiver had given the idle connection up: its first command met the end of it."""
    if result.stage != "mail" or result.disposition != "soft":
        return False
    return result.class_ == "connection_lost" or result.smtp_code == CLOSING
