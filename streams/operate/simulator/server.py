"""The simulator's SMTP sockets: carries bytes between a `Session` and the wire (asyncio; RFC 5321, 3207).

After each read: the session goes as far as the bytes reach, the log is flushed, and only then the replies leave, in one
write.  So an accepted message is in the log before its sender can know.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from streams.operate.simulator.errors import CannotListenError, LogLostError
from streams.operate.simulator.session import Desk, Session

# Octets that a client may send ahead while a reply is delayed; an honest one sends its next few commands at most.
_MAX_AHEAD = 64 * 1024
# Seconds for open connections to take their 421 at the end; loopback needs one turn of the loop.
_FAREWELL_S = 1.0
# Connections not yet accepted: 400 slots with a few connections each open theirs within one turn of the loop.
_BACKLOG = 2048


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, server: "SmtpServer") -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._upgrade: asyncio.Task[None] | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        address, port, *_ = transport.get_extra_info("peername")
        self._session = Session(self._server.desk, str(address), port=port)
        self._server.connections.add(self)
        self._turn()

    def data_received(self, data: bytes) -> None:
        """Go as far as the bytes reach."""
        self._drive(lambda: self._session.feed(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """A message whose reply was delayed is not accepted when its sender has gone."""
        del exc
        if self._timer is not None:
            self._timer.cancel()
        if self in self._server.connections:
            self._server.connections.discard(self)
            self._server.ended(self._session)
        if not self.lost.done():
            self.lost.set_result(None)

    def farewell(self) -> None:
        """The simulator ends (RFC 5321 3.8)."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._transport.is_closing():
            self._transport.write(b"421 4.3.2 the simulator stops\r\n")
            self._transport.close()

    def abort(self) -> None:
        """Drop it at once."""
        self._transport.abort()

    def _drive(self, step: Callable[[], None]) -> None:
        if self._transport.is_closing():
            return
        try:
            step()
            self._server.desk.log.flush()
        except LogLostError as error:
            self._transport.abort()
            self._server.failed(error)
            return
        self._turn()

    def _turn(self) -> None:
        session, transport = self._session, self._transport
        if session.then == "starttls" and self._upgrade is None:
            transport.pause_reading()  # the client's hello is TLS's, not ours
            self._upgrade = self._loop.create_task(self._start_tls())
        replies = session.take_replies()
        if replies:
            transport.write(replies)
        if session.then == "close":
            transport.close()
        elif session.then == "abort":
            transport.abort()
        elif session.then in {"wait", "stall"}:
            if self._timer is None:
                delay_s = self._server.slow_s if session.then == "wait" else self._server.stall_s
                self._timer = self._loop.call_later(delay_s, self._release)
            if session.pending() > _MAX_AHEAD:
                transport.pause_reading()

    def _release(self) -> None:
        self._timer = None
        if self._transport.is_closing():
            return
        self._transport.resume_reading()
        self._drive(self._session.release)

    async def _start_tls(self) -> None:
        assert self._server.tls is not None  # noqa: S101  # STARTTLS is offered only with a certificate
        try:
            transport = await self._loop.start_tls(self._transport, self, self._server.tls, server_side=True)
        except (OSError, ssl.SSLError):
            transport = None
        if transport is None:
            self._transport.abort()
            self.connection_lost(None)  # asyncio tells nobody of a handshake that broke off
            return
        self._transport = transport
        self._drive(self._session.upgraded)


class SmtpServer:
    """Listens until closed; `failure` is set when the log can't be written any more."""

    def __init__(self, desk: Desk, *, slow_s: float, stall_s: float = 3.0, tls: ssl.SSLContext | None = None) -> None:
        self.desk = desk
        self.slow_s = slow_s
        self.stall_s = stall_s
        self.tls = tls
        self.connections: set[Connection] = set()
        self._stopping = False
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def listen(self, host: str, port: int) -> int:
        """Open the socket and say its port.  Raises CannotListenError."""
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(lambda: Connection(self), host, port, backlog=_BACKLOG)
        except OSError as error:
            raise CannotListenError("SMTP", host, port, error.strerror or str(error)) from error
        return int(self._listener.sockets[0].getsockname()[1])

    def ended(self, session: Session) -> None:
        """A connection is over: write it down where that is asked for."""
        log = self.desk.connections
        if log is None:
            return
        try:
            log.record(session.ended(stopped=self._stopping))
        except LogLostError as error:
            self.failed(error)

    def failed(self, error: LogLostError) -> None:
        """Nothing more can be recorded, so nothing more may be accepted."""
        if not self.failure.done():
            self.failure.set_exception(error)

    async def close(self) -> None:
        """Say 421 to whoever is connected, and close."""
        self._stopping = True
        self._listener.close()
        for connection in tuple(self.connections):
            connection.farewell()
        if left := [connection.lost for connection in self.connections]:
            await asyncio.wait(left, timeout=_FAREWELL_S)
        for connection in tuple(self.connections):
            connection.abort()
        if not self.failure.done():
            self.failure.cancel()
