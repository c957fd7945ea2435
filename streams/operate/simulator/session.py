"""One SMTP dialogue without I/O: bytes in, replies and what to do next out.

1. `feed` takes what came from the wire and goes through it, command by command, message by message (RFC 5321; replies
   of a pipelined group are gathered, RFC 2920).
2. The transport flushes the log, then sends `take_replies`, then does what `then` says: read on, wait (`slow_s`, or
   `stall_s` where the message is taken already) and call `release`, upgrade to TLS and call `upgraded`, close, abort.
3. What was accepted or refused is recorded in the desk's log before its reply can be taken.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Final, Literal

from streams.operate.simulator.commands import TOO_BIG, read_mail, read_rcpt
from streams.operate.simulator.connections import IDLE, ConnectionLog, Ended, How, Stage
from streams.operate.simulator.doors import Doorkeeper
from streams.operate.simulator.log import ACCEPTED, DROPPED, Entry, MessageLog
from streams.operate.simulator.message import TERMINATOR, header_values, layout_fault, unsigned, unstuff
from streams.operate.simulator.outcomes import ACCEPT, Outcome, Reply, foremost, outcome_for

Then = Literal["read", "wait", "stall", "starttls", "close", "abort"]

# Octets.  RFC 5321 4.5.3.1.4 asks for 512 and more with extensions; a path of 256 and its parameters fit well.
MAX_COMMAND_LINE: Final = 1024
# RFC 5321 4.5.3.1.8 asks for at least 100; the bound keeps one client from filling the memory.
MAX_RECIPIENTS: Final = 1000
# "." CR LF becomes ".." CR LF: a message grows by at most a third on the wire, and SIZE counts without (RFC 1870 5).
_GROWTH: Final = (4, 3)


def _reply(code: int, enhanced: str, text: str) -> Reply:
    return Reply(code=code, enhanced=enhanced, text=text)


_OK: Final = _reply(250, "2.0.0", "ok").wire()
_SENDER_OK: Final = _reply(250, "2.1.0", "sender ok").wire()
_RECIPIENT_OK: Final = _reply(250, "2.1.5", "recipient ok").wire()
_TAKEN: Final = _reply(250, "2.0.0", "message accepted").wire()


@dataclass(kw_only=True)
class Desk:
    """What all sessions of a simulator share; `tried` counts tries by recipient, `doorkeeper` what came from whom."""

    log: MessageLog
    hostname: str
    max_size: int
    starttls: bool = False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    tried: Counter[str] = field(default_factory=Counter)
    connections: ConnectionLog | None = None
    doorkeeper: Doorkeeper | None = None


class Session:
    """A connection's dialogue; see the module's text for who calls what when."""

    def __init__(self, desk: Desk, peer: str, *, port: int = 0) -> None:
        self.then: Then = "read"
        self._desk = desk
        self._peer = peer
        self._port = port
        self._opened = desk.clock()
        self._accepted = 0
        self._said_quit = False
        self._tls = False
        self._helo = ""
        self._buffer = bytearray()
        self._replies = [f"220 {desk.hostname} ESMTP evenpost simulator\r\n".encode("ascii")]
        self._line_too_long = False
        self._held: tuple[Entry, bytes] | None = None
        self._reset()

    def _reset(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._outcomes: list[Outcome] = []
        self._in_body = False
        self._too_big = False
        self._scanned = 0

    # ── called by the transport ──────────────────────────────────────────────────────────────────────────────────────

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire and go as far as they reach."""
        self._buffer += data
        self._advance()

    def take_replies(self) -> bytes:
        """What to send now."""
        replies = b"".join(self._replies)
        self._replies.clear()
        return replies

    def pending(self) -> int:
        """Octets that wait for `release`."""
        return len(self._buffer)

    def release(self) -> None:
        """The delay is over: accept what was held, and go on."""
        if self._held is not None:
            self._accept(*self._held)
            self._held = None
        if self.then == "stall":
            self._replies.append(_TAKEN)
        self.then = "read"
        self._advance()

    def upgraded(self) -> None:
        """TLS is up: what was said before is forgotten (RFC 3207 4.2); its first bytes may have been fed already."""
        self._helo = ""
        self._tls = True
        self._reset()
        self.then = "read"
        self._advance()

    def ended(self, *, stopped: bool) -> Ended:
        """The connection is over: what is to be written down of it; `stopped` = the simulator ends."""
        how: How = "quit" if self._said_quit else "dropped" if self.then in {"close", "abort"} else "lost"
        stage: Stage = IDLE
        if self.then == "stall":
            stage = "reply"
        elif self._in_body or self._held is not None:
            stage = "body"
        elif self._sender is not None:
            stage = "envelope"
        return Ended(
            peer=self._peer,
            port=self._port,
            opened=self._opened,
            ended=self._desk.clock(),
            how="stopped" if stopped else how,
            stage=stage,
            accepted=self._accepted,
        )

    # ── steps: True = something was consumed ─────────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        while self.then == "read" and (self._body() if self._in_body else self._command()):
            pass

    def _command(self) -> bool:
        end = self._buffer.find(b"\n")
        if end < 0 and len(self._buffer) > MAX_COMMAND_LINE:
            self._line_too_long = True
            self._buffer.clear()
        if end < 0:
            return False
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if self._line_too_long or len(line) > MAX_COMMAND_LINE:
            self._line_too_long = False
            self._say(_reply(500, "5.5.2", f"a command line has at most {MAX_COMMAND_LINE} octets"))
        elif not line.endswith(b"\r\n"):
            self._say(_reply(500, "5.5.2", "a line ends with CR LF"))
        else:
            line = line[:-2]
            handler = self._HANDLERS.get(line.partition(b" ")[0].upper())
            if handler is None:
                self._say(_reply(500, "5.5.1", "command not known"))
            else:
                handler(self, line)
        return True

    def _body(self) -> bool:
        buffer = self._buffer
        if len(buffer) > len(b"\r\n") and self._dropped():
            return False
        end = buffer.find(TERMINATOR, self._scanned)
        if end < 0:
            limit = self._desk.max_size * _GROWTH[0] // _GROWTH[1]
            if self._too_big or len(buffer) > limit + len(TERMINATOR):
                self._too_big = True
                del buffer[: -len(TERMINATOR)]
            self._scanned = max(0, len(buffer) - len(TERMINATOR) + 1)
            return False
        framed = bytes(buffer[: end + 2])
        del buffer[: end + len(TERMINATOR)]
        self._finish(unstuff(framed))
        return True

    # ── the end of a message ─────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, data: bytes) -> None:
        message_id, subject = header_values(data, b"message-id", b"subject")
        entry = partial(
            self._entry,
            tuple(self._recipients),
            message_id=message_id,
            subject=subject,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            unsigned_sha256=hashlib.sha256(unsigned(data)).hexdigest(),
        )
        fault = layout_fault(data)
        outcome = foremost([one for one in self._outcomes if one.stage == "dot"])
        if self._too_big or len(data) > self._desk.max_size:
            self._refused(tuple(self._recipients), TOO_BIG.code, "too-big")
            self._say(TOO_BIG)
        elif fault is not None:
            self._desk.log.record(entry(code=fault.code, outcome="malformed"))
            self._say(fault)
        elif outcome.act == "refuse":
            refusal = outcome.reply(0)
            self._desk.log.record(entry(code=refusal.code, outcome=outcome.name))
            self._say(refusal)
        elif outcome.act == "drop" and self._count(outcome):
            self._record(entry(code=ACCEPTED, outcome=outcome.name), data)
            self.then = "abort"
        elif outcome.act == "stall" and self._count(outcome):
            self._record(entry(code=ACCEPTED, outcome=outcome.name), data)
            self.then = "stall"
        elif outcome.act == "delay":
            self._held = entry(code=ACCEPTED, outcome=outcome.name), data
            self.then = "wait"
        else:
            self._accept(entry(code=ACCEPTED, outcome=ACCEPT.name), data)
        self._reset()

    def _accept(self, entry: Entry, data: bytes) -> None:
        self._record(entry, data)
        self._replies.append(_TAKEN)

    def _record(self, entry: Entry, data: bytes) -> None:
        self._desk.log.record(entry, data)
        self._accepted += 1

    def _dropped(self) -> bool:
        """Drop the connection in the body if a recipient asks for it."""
        outcome = next((one for one in self._outcomes if one.stage == "body"), ACCEPT)
        if outcome is ACCEPT or not self._count(outcome):
            return False
        self._refused(tuple(self._recipients), DROPPED, outcome.name)
        self.then = "abort"
        return True

    def _count(self, outcome: Outcome) -> bool:
        """Count a try for each recipient that asks for the outcome; whether it happens to any."""
        happens = False
        for recipient, wanted in zip(self._recipients, self._outcomes, strict=True):
            if wanted is outcome:
                key = recipient.lower()
                happens |= outcome.applies(self._desk.tried[key])
                self._desk.tried[key] += 1
        return happens

    # ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _say(self, reply: Reply) -> None:
        self._replies.append(reply.wire())
        if reply.closes:
            self.then = "close"

    def _refused(self, recipients: tuple[str, ...], code: int, outcome: str) -> None:
        self._desk.log.record(self._entry(recipients, code=code, outcome=outcome))

    def _entry(
        self,
        recipients: tuple[str, ...],
        *,
        code: int,
        outcome: str,
        message_id: str | None = None,
        subject: str | None = None,
        size: int = 0,
        sha256: str | None = None,
        unsigned_sha256: str | None = None,
    ) -> Entry:
        return Entry(
            at=self._desk.clock(),
            peer=self._peer,
            port=self._port,
            helo=self._helo,
            mail_from=self._sender or "",
            rcpt_to=recipients,
            message_id=message_id,
            subject=subject,
            size=size,
            sha256=sha256,
            unsigned_sha256=unsigned_sha256,
            code=code,
            outcome=outcome,
        )

    def _ehlo(self, line: bytes) -> None:
        verb, _, name = line.partition(b" ")
        if not name.strip():
            self._say(_reply(501, "5.5.4", "EHLO and HELO take the client's name"))
            return
        self._helo = name.strip().decode("ascii", "replace")
        self._reset()
        hostname = self._desk.hostname
        if verb.upper() == b"HELO":
            self._replies.append(f"250 {hostname}\r\n".encode("ascii"))
            return
        offers = ["PIPELINING", f"SIZE {self._desk.max_size}", "8BITMIME"]
        if self._desk.starttls and not self._tls:
            offers.append("STARTTLS")
        lines = [f"250-{word}\r\n" for word in (hostname, *offers)]
        self._replies.append("".join((*lines, "250 ENHANCEDSTATUSCODES\r\n")).encode("ascii"))

    def _mail(self, line: bytes) -> None:
        if not self._helo or self._sender is not None:
            self._say(_reply(503, "5.5.1", "MAIL comes once, after EHLO"))
            return
        sender = read_mail(line, max_size=self._desk.max_size)
        if isinstance(sender, Reply):
            if sender is TOO_BIG:
                self._refused((), sender.code, "too-big")
            self._say(sender)
            return
        self._sender = sender
        self._replies.append(_SENDER_OK)

    def _rcpt(self, line: bytes) -> None:
        if self._sender is None:
            self._say(_reply(503, "5.5.1", "RCPT comes after MAIL"))
            return
        address = read_rcpt(line)
        if isinstance(address, Reply):
            self._say(address)
            return
        if len(self._recipients) >= MAX_RECIPIENTS:
            self._say(_reply(452, "4.5.3", "too many recipients"))
            return
        if self._turned_away(address):
            return
        outcome = outcome_for(address)
        if outcome.stage == "rcpt":
            key = address.lower()
            tried = self._desk.tried[key]
            if outcome.applies(tried):
                self._desk.tried[key] += 1
                refusal = outcome.reply(tried)
                self._refused((address,), refusal.code, outcome.name)
                self._say(refusal)
                return
            outcome = ACCEPT
        self._recipients.append(address)
        self._outcomes.append(outcome)
        self._replies.append(_RECIPIENT_OK)

    def _turned_away(self, address: str) -> bool:
        keeper = self._desk.doorkeeper
        refused = keeper and keeper.refusal(address, peer=self._peer, helo=self._helo, now=self._desk.clock())
        if refused:
            self._refused((address,), refused[1].code, refused[0])
            self._say(refused[1])
        return refused is not None

    def _data(self, _line: bytes) -> None:
        if self._sender is None:
            self._say(_reply(503, "5.5.1", "DATA comes after MAIL and RCPT"))
        elif not self._recipients:
            self._say(_reply(554, "5.5.1", "no valid recipient"))
        else:
            self._in_body = True
            self._buffer[:0] = b"\r\n"  # the DATA line's own end frames the message: message.py
            self._replies.append(b"354 go ahead, end with <CRLF>.<CRLF>\r\n")

    def _rset(self, _line: bytes) -> None:
        self._reset()
        self._replies.append(_OK)

    def _noop(self, _line: bytes) -> None:
        self._replies.append(_OK)

    def _vrfy(self, _line: bytes) -> None:
        self._say(_reply(252, "2.5.0", "send some mail, and see"))

    def _quit(self, _line: bytes) -> None:
        self._said_quit = True
        self._replies.append(_reply(221, "2.0.0", "bye").wire())
        self.then = "close"

    def _starttls(self, _line: bytes) -> None:
        if not self._desk.starttls or self._tls:
            self._say(_reply(502, "5.5.1", "STARTTLS is not offered"))
            return
        self._replies.append(_reply(220, "2.0.0", "ready to start TLS").wire())
        self._buffer.clear()  # clear text sent ahead is an attacker's; from here on the transport feeds what TLS gives
        self.then = "starttls"

    _HANDLERS: ClassVar[dict[bytes, Callable[["Session", bytes], None]]] = {
        b"EHLO": _ehlo,
        b"HELO": _ehlo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"VRFY": _vrfy,
        b"QUIT": _quit,
        b"STARTTLS": _starttls,
    }
