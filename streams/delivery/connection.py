"""Open one SMTP connection from a slot's address, and keep what the receiver offered.

1. Bind and connect (RFC 5321 4.5.3.2.1 covers the greeting, the settings' connect time the TCP part).
2. aiosmtplib reads the greeting, says EHLO with the slot's name, HELO where EHLO is refused, STARTTLS by policy.
3. Where opportunistic TLS fails, a new connection is opened in plain: unverified TLS protects against listeners
   only, and mail in plain is what the receiver got before it offered TLS (RFC 7435).
4. The transport becomes a `Wire`, on which `smtp` runs transactions.
"""

import asyncio
import errno
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Final

import aiosmtplib

from streams.delivery.errors import (
    ConnectError,
    EgressUnavailableError,
    RefusedError,
    TlsError,
    UnreachableError,
    UnsayableNameError,
    WireError,
)
from streams.delivery.replies import Stage, classify
from streams.delivery.routes import Target
from streams.delivery.wire import Wire
from streams.runtime.settings import SmtpSettings

# Seconds for the reply to QUIT: it decides nothing, so we don't hold the place for RFC 5321's five minutes.
QUIT_TIMEOUT_S: Final = 2.0
# Linux: choose the port at connect, not at bind, or one slot could hold only 28,000 connections to all hosts together.
IP_BIND_ADDRESS_NO_PORT: Final = 24
# The machine lacks the address, or the address is of another family than its interfaces.
_NOT_OURS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

# Whoever writes `egress` past our commands may write anything there, a line break too.
_SAYABLE: Final = re.compile(r"[!-~]{1,255}")


@dataclass(kw_only=True)
class Connection:
    """An open connection, between transactions or in one.

    `label` names it among all that this machine has to that host: the host and our port.  `needs_reset` is set when the
    receiver may still hold an envelope of ours; the next transaction starts with RSET.  `messages` is how many may go
    over it.
    """

    host: str
    label: str
    via: str
    wire: Wire
    extensions: dict[str, str]
    tls: bool
    settings: SmtpSettings
    messages: int
    needs_reset: bool = False
    transactions: int = 0
    idle_timer: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """Whether another message may go over it."""
        return self.wire.usable and self.transactions < self.messages

    async def quit(self) -> None:
        """End it politely (RFC 5321 4.1.1.10), but not for long."""
        try:
            if self.wire.usable:
                self.wire.write(b"QUIT\r\n", replies=1)
                await self.wire.reply(QUIT_TIMEOUT_S)
        except WireError:
            pass  # it is gone already, which is what we wanted
        finally:
            self.wire.close()


def opportunistic_tls() -> ssl.SSLContext:
    """The context that all connections share: it is costly to make, and MX names are not authenticated anyway."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def open_connection(
    target: Target, *, source: str | None, ehlo: str, via: str, settings: SmtpSettings, tls: ssl.SSLContext
) -> Connection:
    """Connect to one target.  Raises ConnectError."""
    if settings.starttls == "never":
        return await _open(target, source=source, ehlo=ehlo, via=via, settings=settings, tls=None)
    try:
        return await _open(target, source=source, ehlo=ehlo, via=via, settings=settings, tls=tls)
    except TlsError:
        if settings.starttls == "require":
            raise
        return await _open(target, source=source, ehlo=ehlo, via=via, settings=settings, tls=None)


async def _open(
    target: Target, *, source: str | None, ehlo: str, via: str, settings: SmtpSettings, tls: ssl.SSLContext | None
) -> Connection:
    if not _SAYABLE.fullmatch(ehlo):
        raise UnsayableNameError(ehlo)
    sock = await _socket(target, source, settings.connect_timeout_s)
    client = aiosmtplib.SMTP(sock=sock, local_hostname=ehlo, start_tls=False, timeout=settings.command_timeout_s)
    stage: Stage = "greeting"
    try:
        await client.connect()
        stage = "ehlo"
        await _hello(client)
        if tls is not None:
            stage = "starttls"
            await _secure(client, target, tls, required=settings.starttls == "require")
        transport = client.transport
    except ConnectError:
        client.close()
        raise
    except aiosmtplib.SMTPResponseException as error:
        client.close()
        if error.code < 0:  # aiosmtplib's mark for what is no reply
            raise UnreachableError(target.host, stage, "what answers there does not speak SMTP") from error
        raise RefusedError(target.host, stage, classify(error.code, error.message, stage=stage)) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        raise UnreachableError(target.host, stage, str(error) or type(error).__name__) from error
    except BaseException:
        client.close()
        sock.close()
        raise
    if transport is None:
        raise UnreachableError(target.host, stage, "the receiver closed the connection")
    return Connection(
        host=target.host,
        label=f"{target.host}/{transport.get_extra_info('sockname')[1]}",
        via=via,
        wire=Wire.adopt(transport),
        extensions={name.upper(): value for name, value in client.esmtp_extensions.items()},
        tls=transport.get_extra_info("sslcontext") is not None,
        settings=settings,
        messages=settings.messages_per_connection,
    )


async def _socket(target: Target, source: str | None, timeout_s: float) -> socket.socket:
    """A TCP connection from `source` to the target."""
    family = socket.AF_INET6 if ipaddress.ip_address(target.address).version == 6 else socket.AF_INET  # noqa: PLR2004  # IP versions are 4 and 6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # A transaction is a few small writes, each awaited by the peer: Nagle's delay would be added to every one.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            _bind(sock, source)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_connect(sock, (target.address, target.port))
        except TimeoutError as error:
            where = f"no answer at {target.address} port {target.port} within {timeout_s:g} s"
            raise UnreachableError(target.host, "connect", where) from error
        except OSError as error:
            if error.errno in _NOT_OURS and source is not None:
                raise EgressUnavailableError(source, error.strerror or str(error)) from error
            where = f"{error.strerror or error} at {target.address} port {target.port}"
            raise UnreachableError(target.host, "connect", where) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, source: str) -> None:
    try:
        ipaddress.ip_address(source)  # else bind would take "" for any address, and look a name up while all wait
    except ValueError:
        raise EgressUnavailableError(source or "no address", "it is no IP address") from None
    try:
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
    except OSError as error:
        raise EgressUnavailableError(source, error.strerror or str(error)) from error


async def _hello(client: aiosmtplib.SMTP) -> None:
    """EHLO, or HELO where EHLO is not known (RFC 5321 3.2)."""
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code < 500:  # noqa: PLR2004  # RFC 5321 4.2.1: 4yz is "not now", which HELO doesn't change
            raise
        await client.helo()


async def _secure(client: aiosmtplib.SMTP, target: Target, tls: ssl.SSLContext, *, required: bool) -> None:
    """STARTTLS where offered (RFC 3207), and EHLO anew."""
    if not client.supports_extension("starttls"):
        if required:
            raise TlsError(target.host, "starttls", "offers no STARTTLS, and smtp.starttls is 'require'")
        return
    try:
        await client.starttls(server_hostname=target.host, tls_context=tls)
        await _hello(client)
    except (aiosmtplib.SMTPException, ssl.SSLError, OSError) as error:
        client.close()
        raise TlsError(target.host, "starttls", f"STARTTLS failed: {error}") from error
