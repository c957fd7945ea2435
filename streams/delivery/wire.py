"""One SMTP connection's bytes: commands out, replies in, each reply paired with the command it answers.

aiosmtplib opens the connection; its transport is then ours (`Wire.adopt`), because its protocol keeps one reply at
a time and so can't be pipelined (RFC 2920).  The rule that all else rests on: a wire that missed a reply, got one
that nobody asked for, or got something that is no reply, is aborted at once and never used again.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple, Self, cast

from streams.delivery.errors import ConnectionLostError, ProtocolError, ReplyTimeoutError, WireError

# RFC 5321 4.5.3.1.5 allows 512 octets a reply line; many hosts send more.  Beyond this it is an attack on our memory.
MAX_LINE_BYTES: Final = 8192
MAX_REPLY_LINES: Final = 128


class RawReply(NamedTuple):
    """A reply as it came: the last line's code, and the lines' texts joined by newlines."""

    code: int
    text: str


class Wire(asyncio.Protocol):
    """The connection after its opening.  Not for concurrent use: one transaction at a time."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._replies: deque[RawReply] = deque()
        self._expected = 0
        self._lines: list[str] = []
        self._partial = b""
        self._waiter: asyncio.Future[None] | None = None
        self._fault: WireError | None = None
        self._paused = False

    @classmethod
    def adopt(cls, transport: asyncio.BaseTransport) -> Self:
        """Take over an open transport, at a moment when no reply is due."""
        stream = cast("asyncio.Transport", transport)
        wire = cls(stream)
        stream.set_protocol(wire)
        # With no buffer allowed, "paused" means: not all of what we wrote has left this process.  1, as asyncio's TLS
        # transport pauses at a size >= high: at 0 it would pause with nothing left to send.
        stream.set_write_buffer_limits(high=1, low=0)
        if stream.is_closing():
            wire._fail(ConnectionLostError("the connection was closed while it opened"))
        return wire

    @property
    def usable(self) -> bool:
        """Whether another command may be sent."""
        return self._fault is None and self._expected == 0 and not self._transport.is_closing()

    @property
    def unsent(self) -> bool:
        """Whether part of what was written never left: then the peer can't have seen the end of it."""
        return self._paused

    def write(self, data: bytes, *, replies: int) -> None:
        """Send `data`, which asks for that many replies, in one write."""
        if self._transport.is_closing():  # asyncio drops what is written now, in silence
            self._fail(ConnectionLostError("the connection is closed"))
        if self._fault is not None:
            raise self._fault
        self._expected += replies
        self._transport.write(data)

    async def reply(self, timeout_s: float) -> RawReply:
        """The next reply.  Raises WireError; after a timeout the connection is gone."""
        while not self._replies:
            if self._fault is not None:
                raise self._fault
            if not await self._woken(timeout_s):
                self._fail(ReplyTimeoutError(f"no reply within {timeout_s:g} s"))
        return self._replies.popleft()

    async def drain(self, block_timeout_s: float) -> None:
        """Wait until all that was written has left, or a reply came early; each block has its own time.

        RFC 5321 4.5.3.2.5: the time runs anew whenever some of the data moves.
        """
        while self._paused and not self._replies and self._fault is None:
            before = self._transport.get_write_buffer_size()
            if not await self._woken(block_timeout_s) and self._transport.get_write_buffer_size() >= before:
                self._fail(ReplyTimeoutError(f"the receiver took no data within {block_timeout_s:g} s"))

    def abort(self) -> None:
        """End the connection at once; what was not sent is not sent."""
        self._fail(ConnectionLostError("closed by us"))

    def close(self) -> None:
        """End the connection after what was written."""
        self._transport.close()

    async def _woken(self, timeout_s: float) -> bool:
        """Sleep until something happened on the wire; False after `timeout_s`."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, self._wake, True)
        self._timed_out = False
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
        return not self._timed_out

    def _wake(self, timed_out: bool = False) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._timed_out = timed_out
            self._waiter.set_result(None)

    def _fail(self, fault: WireError) -> None:
        if self._fault is None:
            self._fault = fault
            self._transport.abort()
            self._wake()

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Cut what came into replies."""
        if self._fault is not None:
            return
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            if not self._line(line):
                break  # what follows is out of step
        if len(self._partial) > MAX_LINE_BYTES or len(self._lines) > MAX_REPLY_LINES:
            self._fail(ProtocolError("the reply is too long"))
        if self._replies:
            self._wake()

    def _line(self, line: bytes) -> bool:
        """Take one line; False = the connection is over."""
        code, mark = line[:3], line[3:4]
        # RFC 5321 4.2: three digits, then a blank (or nothing) on the last line, a hyphen on those before.
        if not (code.isdigit() and b"200" <= code <= b"599" and mark in {b" ", b"-", b"", b"\r"}):
            self._fail(ProtocolError("what came is no SMTP reply"))
            return False
        self._lines.append(line[4:].decode("utf-8", "replace").strip())
        if mark == b"-":
            return True
        text, self._lines = "\n".join(self._lines), []
        if self._expected == 0:
            # RFC 5321 4.2.1: a server may say 421 at any time before it closes; anything else is out of step.
            self._fail(
                ConnectionLostError(f"the receiver closed the idle connection: {text[:100]}")
                if code == b"421"
                else ProtocolError("a reply came that answers no command")
            )
            return False
        self._expected -= 1
        self._replies.append(RawReply(int(code), text))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio tells that the connection ended."""
        self._fail(ConnectionLostError(f"connection lost: {exc}" if exc else "the receiver closed the connection"))

    def pause_writing(self) -> None:
        """Asyncio tells that data waits in our buffer."""
        self._paused = True

    def resume_writing(self) -> None:
        """Asyncio tells that the buffer is empty again."""
        if self._fault is None:
            self._paused = False
            self._wake()
