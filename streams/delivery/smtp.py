"""One mail transaction (RFC 5321 section 3.3) on an open connection, at the speed of the wire.

1. The witness hears that MAIL goes.  MAIL FROM, RCPT TO and DATA go out in one write where PIPELINING is offered
   (RFC 2920), else one by one.
2. Every reply is read.  The first refusal decides; where DATA got its 354 all the same, a lone dot ends it
   (RFC 2920 3.1: the receiver has no recipient, so nothing is delivered).
3. `Witness.before_dot` is awaited: nothing has been delivered yet, and raising there makes sure that nothing will be.
4. The message and its dot go out in one write.  From here on a lost connection or a timeout is `uncertain`: the
   receiver may have taken the message (RFC 5321 4.5.3.2.6).  Before, it is `soft`.

Any timeout or reply out of step ends the connection, and so does 421.
"""

import re
from typing import Final, Literal, Protocol

import msgspec

from streams.delivery import replies
from streams.delivery.connection import Connection
from streams.delivery.errors import ProtocolError, WireError
from streams.delivery.replies import Stage
from streams.delivery.wire import RawReply
from streams.runtime.points import Points

CLOSING: Final = 421  # RFC 5321 4.2.3: the receiver closes after it, whatever was asked
START_INPUT: Final = 354
_NOT_IN_PATH: Final = re.compile(r"[\x00-\x1f\x7f<>]")
_RESET: Final = b"RSET\r\n"
_DATA: Final = b"DATA\r\n"
_LONE_DOT: Final = b".\r\n"


class Witness(Protocol):
    """Who has a say in one send's transactions.  What it raises ends the transaction: nothing is delivered."""

    @property
    def send_id(self) -> str:
        """Which send it is, for who dies on it."""

    def mail_goes(self, connection: str) -> None:
        """The envelope is written next, on the connection of that label; again where the send gets another one."""

    async def before_dot(self) -> None:
        """The receiver waits for the message: what returns from here lets it go."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt.

    `class_` is a class of replies.toml; `smtp_code` is None where no receiver said anything.  `via` names the way out
    of this machine, `host` the receiver's.  `stage` is the command that the reply answers.
    """

    disposition: Literal["accepted", "soft", "hard", "uncertain"]
    class_: str
    smtp_code: int | None = None
    enhanced: str = ""
    reply: str = ""
    stage: Stage
    via: str
    host: str = ""

    @property
    def suppresses(self) -> bool:
        """Whether the address is dead: it must get no mail again."""
        return self.disposition == "hard" and replies.suppresses(self.class_)


async def deliver(
    connection: Connection,
    envelope_from: str,
    envelope_to: str,
    data: bytes,
    *,
    witness: Witness | None = None,
    points: Points | None = None,
) -> Result:
    """Send one message to one recipient.

    `data` is the message with CRLF line ends.  Raises ValueError where an argument would let a second command or
    message in; whatever the witness raises passes through, with the connection closed and nothing delivered.
    """
    path(envelope_from, "MAIL FROM")
    path(envelope_to, "RCPT TO")
    body = stuffed(data)
    refusal = _unsendable(connection, envelope_from, envelope_to, len(data))
    if refusal is not None:
        return refusal
    send_id = "" if witness is None else witness.send_id
    transaction = _Transaction(connection, points, send_id)
    connection.transactions += 1
    try:
        if points is not None:
            points.reach("before-intent", send_id=send_id)
        if witness is not None:
            witness.mail_goes(connection.label)
        await transaction.envelope(envelope_from, envelope_to, len(data))
        if transaction.refused is None:
            if points is not None:
                points.reach("after-mail", send_id=send_id)
            if witness is not None:
                await witness.before_dot()
            if points is not None:
                points.reach("after-intent", send_id=send_id)
            await transaction.message(body)
    except WireError as fault:
        if transaction.refused is None:
            return transaction.broken(fault)
    except BaseException:
        connection.wire.abort()
        raise
    return transaction.result()


def path(address: str, command: str) -> None:
    """Refuse an address that could end its own command (RFC 5321 4.1.2 has no such character in a path)."""
    if _NOT_IN_PATH.search(address):
        raise ValueError(f"the address for {command} holds a control character or an angle bracket; nothing was sent")


def stuffed(data: bytes) -> bytes:
    """The message as it crosses the wire: dots doubled, the final dot appended (RFC 5321 4.5.2).

    A bare CR or LF would be a line end to some receivers and none to others: a message smuggled inside another.
    """
    line_ends = data.count(b"\r\n")
    if data.count(b"\n") != line_ends or data.count(b"\r") != line_ends or b"\0" in data:
        raise ValueError("the message holds a bare CR or LF, or a NUL; compose it with CRLF line ends before signing")
    if data.rfind(b"\n.") >= 0:  # from the end: a fifth of the time of `in`
        data = data.replace(b"\n.", b"\n..")
    if data.startswith(b"."):
        data = b"." + data
    return data + (b".\r\n" if data.endswith(b"\r\n") or not data else b"\r\n.\r\n")


def _unsendable(connection: Connection, envelope_from: str, envelope_to: str, size: int) -> Result | None:
    """What the receiver's own EHLO rules out."""
    limit = connection.extensions.get("SIZE", "").strip()
    if limit.isdecimal() and 0 < int(limit) < size:  # RFC 1870 4: 0 is no limit
        text = f"the message has {size} octets, the receiver takes {limit} (SIZE)"
        return _own(connection, "message_too_large", "5.3.4", text)
    if not (envelope_from + envelope_to).isascii() and "SMTPUTF8" not in connection.extensions:
        return _own(connection, "address_unsupported", "5.6.7", "the address needs SMTPUTF8, which is not offered")
    return None


def _own(connection: Connection, class_: str, enhanced: str, text: str) -> Result:
    return Result(
        disposition="hard",
        class_=class_,
        enhanced=enhanced,
        reply=text,
        stage="ehlo",
        via=connection.via,
        host=connection.host,
    )


class _Transaction:
    """Where one transaction stands: its stage, the first refusal, the final reply."""

    def __init__(self, connection: Connection, points: Points | None, send_id: str) -> None:
        self.connection = connection
        self._points = points
        self._send_id = send_id
        self.refused: tuple[Stage, RawReply] | None = None
        self._stage: Stage = "mail"
        self._accepted: RawReply | None = None

    async def envelope(self, envelope_from: str, envelope_to: str, size: int) -> None:
        """MAIL, RCPT and DATA; afterwards either `refused` is set or the receiver waits for the message."""
        connection = self.connection
        parameters = f" SIZE={size}" if "SIZE" in connection.extensions else ""
        if not (envelope_from + envelope_to).isascii():
            parameters += " SMTPUTF8"  # RFC 6531 3.4
        mail = f"MAIL FROM:<{envelope_from}>{parameters}\r\n".encode()
        rcpt = f"RCPT TO:<{envelope_to}>\r\n".encode()
        if "PIPELINING" in connection.extensions:
            await self._pipelined(mail, rcpt)
        else:
            await self._stepwise(mail, rcpt)

    async def _pipelined(self, mail: bytes, rcpt: bytes) -> None:
        connection, wire, settings = self.connection, self.connection.wire, self.connection.settings
        reset = connection.needs_reset
        wire.write((_RESET if reset else b"") + mail + rcpt + _DATA, replies=4 if reset else 3)
        if reset:
            await self._reset_read()
        mailed = await self._ask("mail", settings.command_timeout_s)
        await self._ask("rcpt", settings.command_timeout_s)
        data = await self._ask("data", settings.data_timeout_s)
        if self.refused is None:
            return
        if data.code == START_INPUT:
            wire.write(_LONE_DOT, replies=1)
            await wire.reply(settings.final_timeout_s)
        else:
            connection.needs_reset = _positive(mailed.code)

    async def _stepwise(self, mail: bytes, rcpt: bytes) -> None:
        connection, wire, settings = self.connection, self.connection.wire, self.connection.settings
        if connection.needs_reset:
            wire.write(_RESET, replies=1)
            await self._reset_read()
        steps: tuple[tuple[Stage, bytes, float], ...] = (
            ("mail", mail, settings.command_timeout_s),
            ("rcpt", rcpt, settings.command_timeout_s),
            ("data", _DATA, settings.data_timeout_s),
        )
        for stage, command, timeout_s in steps:
            wire.write(command, replies=1)
            await self._ask(stage, timeout_s)
            if self.refused is not None:
                connection.needs_reset = stage != "mail"
                return

    async def _reset_read(self) -> None:
        reply = await self.connection.wire.reply(self.connection.settings.command_timeout_s)
        if reply.code == CLOSING:
            self._close_after("mail", reply)
        self.connection.needs_reset = False

    async def message(self, body: bytes) -> None:
        """The message, its dot, and the reply to it."""
        wire, settings = self.connection.wire, self.connection.settings
        if self._points is not None and self._points.is_due("mid-body"):
            wire.write(body[: len(body) // 2], replies=0)
            await wire.drain(settings.block_timeout_s)
            self._points.strike(send_id=self._send_id)
        wire.write(body, replies=1)  # raises where the connection ended meanwhile: then no byte of it was written
        self._stage = "dot"
        await wire.drain(settings.block_timeout_s)
        if self._points is not None and not wire.unsent:
            self._points.reach("after-dot", send_id=self._send_id)
        reply = await wire.reply(settings.final_timeout_s)
        if wire.unsent:  # an answer to what was not yet said: the rest of the message would be read as commands
            wire.abort()
            if _positive(reply.code):
                raise ProtocolError("the receiver accepted the message before its end")
        if _positive(reply.code):
            if self._points is not None:
                self._points.reach("after-250", send_id=self._send_id)
            self._accepted = reply
            return
        self._refuse("dot", reply)

    async def _ask(self, stage: Stage, timeout_s: float) -> RawReply:
        """The reply to a command of the envelope."""
        self._stage = stage
        reply = await self.connection.wire.reply(timeout_s)
        if stage == "data" and reply.code == START_INPUT:
            return reply
        if stage == "data" or not _positive(reply.code):
            self._refuse(stage, reply)
        return reply

    def _refuse(self, stage: Stage, reply: RawReply) -> None:
        if reply.code == CLOSING:
            self._close_after(stage, reply)
        if reply.code < 400:  # noqa: PLR2004  # RFC 5321 4.2.1: only 4yz and 5yz refuse
            self.connection.wire.abort()
            raise ProtocolError(f"{reply.code} is no reply to {stage.upper()}")
        if self.refused is None:
            self.refused = stage, reply

    def _close_after(self, stage: Stage, reply: RawReply) -> None:
        """421: what else was asked stays unanswered."""
        if self.refused is None:
            self.refused = stage, reply
        self.connection.wire.abort()
        raise ProtocolError("the receiver closes the connection")

    def result(self) -> Result:
        """The receiver's word."""
        if self.refused is not None:
            stage, raw = self.refused
        elif self._accepted is not None:
            stage, raw = "dot", self._accepted
        else:
            raise AssertionError("a transaction ends with a refusal, a final reply or a fault")
        reply = replies.classify(raw.code, raw.text, stage=stage)
        return Result(
            disposition=reply.disposition,
            class_=reply.class_,
            smtp_code=reply.smtp_code,
            enhanced=reply.enhanced,
            reply=reply.text,
            stage=stage,
            via=self.connection.via,
            host=self.connection.host,
        )

    def broken(self, fault: WireError) -> Result:
        """The connection's end: uncertain once the dot may have arrived."""
        dot_left = self._stage == "dot" and not self.connection.wire.unsent
        return Result(
            disposition="uncertain" if dot_left else "soft",
            class_=fault.class_,
            reply=str(fault),
            stage=self._stage,
            via=self.connection.via,
            host=self.connection.host,
        )


def _positive(code: int) -> bool:
    return 200 <= code < 300  # noqa: PLR2004  # RFC 5321 4.2.1: 2yz
