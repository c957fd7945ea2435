"""A recording SMTP receiver for tests, whose behaviour is a script.

    async with Receiver(script={"rcpt": "550 5.1.1 no such user"}) as receiver:
        receiver.port, receiver.messages, receiver.sessions

`script` names what happens at a stage: `greeting`, `ehlo`, `helo`, `starttls`, `mail`, `rcpt`, `data`, `dot`, `rset`,
`quit`.  An action is a reply line (or several joined by newlines), `Drop()`, `Stall(seconds, then)`, a list (one for
each time, the last repeats) or a function of the command's argument that returns one of these.  With `reads=False` the
receiver reads nothing after its 354.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

DEFAULTS = {
    "greeting": "220 receiver.example ESMTP",
    "helo": "250 receiver.example",
    "starttls": "220 2.0.0 go ahead",
    "mail": "250 2.1.0 sender ok",
    "rcpt": "250 2.1.5 recipient ok",
    "data": "354 go ahead",
    "dot": "250 2.0.0 queued",
    "rset": "250 2.0.0 reset",
    "quit": "221 2.0.0 bye",
}


@dataclass(frozen=True)
class Drop:
    """Close the connection without a word; `abort` resets it."""

    abort: bool = False


@dataclass(frozen=True)
class Stall:
    """Say nothing for so long, then go on."""

    seconds: float
    then: str | Drop = "250 2.0.0 late"


Action = str | Drop | Stall
Script = dict[str, Action | Sequence[Action] | Callable[[str], Action]]


@dataclass
class Message:
    """One message that was taken: `data` with its dots undone."""

    envelope_from: str
    envelope_to: list[str]
    data: bytes
    peer: str
    helo: str
    tls: bool
    parameters: str = ""


@dataclass
class Session:
    """One connection: `chunks` is what each read brought, `commands` the lines in order (without message data)."""

    peer: str
    port: int = 0
    chunks: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    helo: str = ""
    tls: bool = False
    closed: bool = False


class Receiver:
    """The server.  `most_open` is how many connections were open at once."""

    def __init__(
        self,
        *,
        script: Script | None = None,
        extensions: Sequence[str] = ("PIPELINING", "SIZE 10485760", "ENHANCEDSTATUSCODES", "8BITMIME"),
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        reads: bool = True,
        pauses: Sequence[float] = (),
    ) -> None:
        self.script: Script = script or {}
        self.extensions = list(extensions)
        self.tls = tls
        self.host = host
        self.port = port
        self.messages: list[Message] = []
        self.sessions: list[Session] = []
        self.open = 0
        self.most_open = 0
        self._reads = reads
        self.pauses = pauses
        self._times: Counter[str] = Counter()
        self.server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._readers: set[asyncio.StreamReader] = set()

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.server is not None
        self.server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.wait_closed()

    @property
    def commands(self) -> list[str]:
        """All sessions' commands."""
        return [command for session in self.sessions for command in session.commands]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        peer, port, *_ = writer.get_extra_info("peername")
        session = Session(peer=peer, port=port)
        self.sessions.append(session)
        self._writers.add(writer)
        self._readers.add(reader)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            with contextlib.suppress(ConnectionError, _GoneError, asyncio.CancelledError, ssl.SSLError):
                await _Conversation(self, session, reader, writer, reads=self._reads).run()
        finally:
            self._writers.discard(writer)
            self._readers.discard(reader)
            self.open -= 1
            session.closed = True
            with contextlib.suppress(Exception):
                writer.close()

    def hang_up(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def left_alone(self) -> bool:
        """Whether all clients have closed their connections, also those to whom it stalls."""
        return bool(self.sessions) and all(reader.at_eof() for reader in self._readers)

    def action(self, stage: str, argument: str) -> Action | None:
        """What the script says now; None = the default."""
        entry = self.script.get(stage)
        self._times[stage] += 1
        if callable(entry):
            return entry(argument)
        if isinstance(entry, Sequence) and not isinstance(entry, str):
            return entry[min(self._times[stage], len(entry)) - 1]
        return entry


class _GoneError(Exception):
    pass


class _Conversation:
    def __init__(
        self,
        receiver: Receiver,
        session: Session,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        reads: bool,
    ) -> None:
        self.receiver = receiver
        self.session = session
        self.reader = reader
        self.writer = writer
        self.reads = reads
        self.buffer = b""
        self.mail: tuple[str, str] | None = None
        self.rcpt: list[str] = []

    async def run(self) -> None:
        if not await self.say("greeting"):
            return
        while True:
            line = await self.line()
            self.session.commands.append(line)
            verb, _, argument = line.partition(" ")
            handler = getattr(self, f"do_{verb.lower()}", None)
            if handler is None:
                self.reply("502 5.5.1 not implemented")
            elif not await handler(argument):
                return

    async def do_ehlo(self, argument: str) -> bool:
        self.session.helo = argument
        offers = self.receiver.extensions + (["STARTTLS"] if self.receiver.tls and not self.session.tls else [])
        return await self.say(
            "ehlo", argument, default="\n".join(f"250 {one}" for one in ["receiver.example", *offers])
        )

    async def do_helo(self, argument: str) -> bool:
        self.session.helo = argument
        return await self.say("helo", argument)

    async def do_starttls(self, argument: str) -> bool:
        said = await self.ask("starttls", argument)
        if self.receiver.tls is None or not said.startswith("220"):
            return bool(said)
        await self.writer.drain()
        await self.writer.start_tls(self.receiver.tls)
        self.session.tls = True
        return True

    async def do_mail(self, argument: str) -> bool:
        path, _, parameters = argument.partition(">")
        if self.mail is not None:
            self.reply("503 5.5.1 nested MAIL")
            return True
        said = await self.ask("mail", argument)
        if said.startswith("2"):
            self.mail, self.rcpt = (path.partition("<")[2], parameters.strip()), []
        return bool(said)

    async def do_rcpt(self, argument: str) -> bool:
        said = await self.ask("rcpt", argument) if self.mail else self.reply("503 5.5.1 need MAIL")
        if said.startswith("2"):
            self.rcpt.append(argument.partition("<")[2].partition(">")[0])
        return bool(said)

    async def do_data(self, argument: str) -> bool:
        if not self.rcpt and "data" not in self.receiver.script:
            self.reply("554 5.5.1 no valid recipients")
            return True
        said = await self.ask("data", argument)
        if not said.startswith("354"):
            return bool(said)
        if not self.reads:
            await asyncio.Event().wait()
        data = await self.until_dot()
        if self.mail is not None and self.rcpt:
            mail = self.mail
            self.mail = None
            said = await self.ask("dot", mail[0])
            if said.startswith("2"):
                session = self.session
                self.receiver.messages.append(
                    Message(mail[0], self.rcpt, data, session.peer, session.helo, session.tls, mail[1])
                )
        else:
            self.mail = None
            said = self.reply("554 5.5.1 no valid recipients")
        self.rcpt = []
        return bool(said)

    async def do_rset(self, argument: str) -> bool:
        self.mail, self.rcpt = None, []
        return await self.say("rset", argument)

    async def do_quit(self, argument: str) -> bool:
        await self.say("quit", argument)
        return False

    async def say(self, stage: str, argument: str = "", *, default: str | None = None) -> bool:
        """Do the stage's action; False = the connection is over."""
        return bool(await self.ask(stage, argument, default=default))

    async def ask(self, stage: str, argument: str, *, default: str | None = None) -> str:
        """Do the stage's action and return the reply given; empty = the connection is over."""
        action = self.receiver.action(stage, argument) or default or DEFAULTS[stage]
        if isinstance(action, Stall):
            await asyncio.sleep(action.seconds)
            action = action.then
        if isinstance(action, Drop):
            if action.abort:
                self.writer.transport.abort()
            return ""
        self.reply(action)
        return "" if action.startswith("421") else action

    def reply(self, text: str) -> str:
        lines = text.split("\n")
        marked = [line[:3] + "-" + line[4:] for line in lines[:-1]] + [lines[-1]]
        self.writer.write("".join(f"{line}\r\n" for line in marked).encode())
        return text

    async def read(self) -> None:
        chunk = await self.reader.read(65536)
        if not chunk:
            raise _GoneError
        self.session.chunks.append(chunk)
        self.buffer += chunk

    async def line(self) -> str:
        while b"\r\n" not in self.buffer:
            await self.read()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode("utf-8", "replace")

    async def until_dot(self) -> bytes:
        self.buffer = b"\r\n" + self.buffer
        pauses = iter(self.receiver.pauses)
        while b"\r\n.\r\n" not in self.buffer:
            await self.read()
            await asyncio.sleep(next(pauses, 0))
        data, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
        return (data + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
