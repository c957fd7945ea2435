"""One transaction: what crosses the wire, and what each answer or silence makes of it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery import smtp
from streams.delivery.connection import open_connection
from streams.delivery.routes import Target
from streams.delivery.smtp import Result, deliver, stuffed
from tests.delivery.builders import MESSAGE, RECIPIENT, SENDER, TLS, Witness, connect, smtp_settings, until
from tests.support.receiver import Drop, Receiver, Script, Stall

STEPWISE = ("SIZE 10485760",)
BOTH = pytest.mark.parametrize("extensions", [("PIPELINING", "SIZE 10485760"), STEPWISE], ids=["pipelined", "stepwise"])


async def attempt(receiver: Receiver, data: bytes = MESSAGE, **settings: float) -> Result:
    """One transaction on a connection of its own."""
    connection = await connect(receiver, **settings)
    try:
        return await deliver(connection, SENDER, RECIPIENT, data)
    finally:
        connection.wire.close()


@BOTH
async def test_a_message_arrives_as_it_was_given(extensions: tuple[str, ...]) -> None:
    """Envelope and bytes arrive unchanged, dots at line starts included; the result names stage and way out."""
    data = b".first\r\n\r\n..two\r\n.\r\nlast\r\n"
    async with Receiver(extensions=extensions) as receiver:
        result = await attempt(receiver, data)
    (message,) = receiver.messages
    assert (message.envelope_from, message.envelope_to, message.data) == (SENDER, [RECIPIENT], data)
    assert message.parameters == f"SIZE={len(data)}" and message.helo == "m0.mail.example"
    assert (result.disposition, result.class_, result.smtp_code, result.enhanced) == (
        "accepted",
        "accepted",
        250,
        "2.0.0",
    )
    assert (result.stage, result.via, result.host) == ("dot", "127.0.0.1", "receiver.example")


async def test_the_envelope_is_one_segment_where_pipelining_is_offered() -> None:
    """MAIL, RCPT and DATA reach the receiver in one read, DATA last (RFC 2920 3.1)."""
    async with Receiver() as receiver:
        await attempt(receiver)
    (session,) = receiver.sessions
    group = f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)}\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()
    assert group in session.chunks


async def test_without_pipelining_each_command_waits_for_its_reply() -> None:
    """No read brings two commands."""
    async with Receiver(extensions=STEPWISE) as receiver:
        await attempt(receiver)
    (session,) = receiver.sessions
    assert all(chunk.count(b"\r\n") == 1 for chunk in session.chunks[:4])
    assert [command.split()[0] for command in session.commands] == ["EHLO", "MAIL", "RCPT", "DATA"]


@BOTH
@pytest.mark.parametrize(
    ("script", "disposition", "class_", "stage"),
    [
        ({"mail": "550 5.7.1 policy violation"}, "hard", "policy", "mail"),
        ({"rcpt": "550 5.1.1 no such user"}, "hard", "user_unknown", "rcpt"),
        ({"rcpt": "450 4.2.0 Greylisted, try again in 300 seconds"}, "soft", "greylisted", "rcpt"),
        ({"data": "451 4.3.0 queue file write error"}, "soft", "system", "data"),
        ({"dot": "554 5.7.1 content rejected as spam"}, "hard", "spam", "dot"),
        ({"mail": "421 4.7.0 too many connections"}, "soft", "throttled", "mail"),
        ({"rcpt": "421 4.3.2 shutting down"}, "soft", "system", "rcpt"),
        ({"dot": "421 4.3.2 shutting down"}, "soft", "system", "dot"),
        ({"mail": Drop()}, "soft", "connection_lost", "mail"),
        ({"rcpt": Drop(abort=True)}, "soft", "connection_lost", "rcpt"),
        ({"data": Drop()}, "soft", "connection_lost", "data"),
        ({"rcpt": "what?"}, "soft", "protocol_error", "rcpt"),
        ({"rcpt": "354 no"}, "soft", "protocol_error", "rcpt"),
        ({"dot": Drop()}, "uncertain", "connection_lost", "dot"),
        ({"dot": Drop(abort=True)}, "uncertain", "connection_lost", "dot"),
        ({"dot": "354 what"}, "uncertain", "protocol_error", "dot"),
    ],
)
async def test_each_answer_has_its_disposition(
    extensions: tuple[str, ...], script: Script, disposition: str, class_: str, stage: str
) -> None:
    """Refusals keep the stage and class; a break is soft before the dot and uncertain after it."""
    async with Receiver(extensions=extensions, script=script) as receiver:
        result = await attempt(receiver)
    assert (result.disposition, result.class_, result.stage) == (disposition, class_, stage)
    assert receiver.messages == []


@pytest.mark.parametrize(
    ("stage", "disposition"), [("mail", "soft"), ("rcpt", "soft"), ("data", "soft"), ("dot", "uncertain")]
)
@BOTH
async def test_a_late_reply_never_answers_the_next_command(
    extensions: tuple[str, ...], stage: str, disposition: str
) -> None:
    """After a timeout the connection is closed: the late 250 meets nobody."""
    times = {"command_timeout_s": 0.05, "data_timeout_s": 0.05, "final_timeout_s": 0.05}
    late = Stall(0.15, "354 late" if stage == "data" else "250 late")
    async with Receiver(extensions=extensions, script={stage: late}) as receiver:
        connection = await connect(receiver)
        connection.settings = smtp_settings(**times)
        result = await deliver(connection, SENDER, RECIPIENT, MESSAGE)
        assert (result.disposition, result.class_, result.stage) == (disposition, "timeout", stage)
        assert not connection.usable
        again = await deliver(connection, SENDER, "hanako@docomo.example", MESSAGE)
        await until(lambda: receiver.open == 0)
    assert again.disposition == "soft" and "timeout" in again.class_
    assert not any("hanako" in command for command in receiver.commands)


async def test_a_refused_recipient_with_354_gets_a_lone_dot() -> None:
    """RFC 2920 3.1: nothing is delivered, the refusal is the result, and the connection serves the next message."""
    script: Script = {"rcpt": ["550 5.1.1 no such user", "250 ok"], "data": "354 go ahead anyway"}
    async with Receiver(script=script) as receiver:
        connection = await connect(receiver)
        first = await deliver(connection, SENDER, RECIPIENT, MESSAGE)
        assert (first.disposition, first.class_) == ("hard", "user_unknown") and receiver.messages == []
        second = await deliver(connection, SENDER, "hanako@docomo.example", MESSAGE)
        connection.wire.close()
    assert second.disposition == "accepted" and receiver.messages[0].envelope_to == ["hanako@docomo.example"]
    assert "RSET" not in receiver.commands


@BOTH
async def test_rset_is_sent_only_where_an_envelope_is_left(extensions: tuple[str, ...]) -> None:
    """After a refused RCPT the next transaction begins with RSET; after an accepted message it does not."""
    script: Script = {"rcpt": ["250 ok", "550 5.1.1 no such user", "250 ok", "250 ok"]}
    async with Receiver(extensions=extensions, script=script) as receiver:
        connection = await connect(receiver)
        results = [await deliver(connection, SENDER, RECIPIENT, MESSAGE) for _ in range(4)]
        connection.wire.close()
    assert [result.disposition for result in results] == ["accepted", "hard", "accepted", "accepted"]
    assert receiver.commands.count("RSET") == 1 and len(receiver.sessions) == 1


async def test_before_dot_runs_when_all_is_accepted_and_can_stop_it() -> None:
    """It sees no message delivered yet; when it raises, nothing is delivered and the connection is closed."""
    async with Receiver() as receiver:
        connection = await connect(receiver)
        seen: list[int] = []

        def look() -> None:
            seen.append(len(receiver.messages))

        def stop() -> None:
            raise RuntimeError("fenced")

        await deliver(connection, SENDER, RECIPIENT, MESSAGE, witness=Witness(before_dot=look))
        assert seen == [0] and len(receiver.messages) == 1
        with pytest.raises(RuntimeError, match="fenced"):
            await deliver(connection, SENDER, RECIPIENT, MESSAGE, witness=Witness(before_dot=stop))
        assert not connection.usable
        await until(lambda: receiver.open == 0)
    assert len(receiver.messages) == 1


@pytest.mark.parametrize("last_words", ["", "421 4.4.2 timeout\r\n"], ids=["silently", "with 421"])
async def test_a_receiver_that_goes_while_the_intent_is_awaited_has_no_mail(last_words: str) -> None:
    """The envelope stood for so long that it hung up: no byte of the message was written, so nothing is uncertain."""

    class Waiting(Witness):
        async def before_dot(self) -> None:
            for writer in receiver._writers:
                writer.write(last_words.encode())
                writer.close()
            await until(lambda: not connection.wire.usable)

    async with Receiver() as receiver:
        connection = await connect(receiver)
        result = await deliver(connection, SENDER, RECIPIENT, MESSAGE, witness=Waiting())
    assert receiver.messages == []
    assert (result.disposition, result.class_, result.stage) == ("soft", "connection_lost", "data")


async def test_before_dot_does_not_run_for_a_refused_recipient() -> None:
    """There is no dot to come before."""
    ran: list[bool] = []
    async with Receiver(script={"rcpt": "550 5.1.1 no"}) as receiver:
        connection = await connect(receiver)
        await deliver(connection, SENDER, RECIPIENT, MESSAGE, witness=Witness(before_dot=lambda: ran.append(True)))
        connection.wire.close()
    assert ran == []


async def test_a_cancelled_transaction_closes_its_connection() -> None:
    """Nobody knows what the receiver will answer, so nobody may read it."""
    async with Receiver(script={"rcpt": Stall(5)}) as receiver:
        connection = await connect(receiver)
        task = asyncio.create_task(deliver(connection, SENDER, RECIPIENT, MESSAGE))
        await until(lambda: any(command.startswith("RCPT") for command in receiver.commands))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not connection.usable


async def test_a_message_that_never_left_is_soft() -> None:
    """A receiver that stops reading can't have seen the dot, so the break is no uncertainty."""
    data = b"x" * 76 + b"\r\n"
    async with Receiver(extensions=("PIPELINING",), reads=False) as receiver:
        result = await attempt(receiver, data * 400_000, block_timeout_s=0.2)
    assert (result.disposition, result.class_, result.stage) == ("soft", "timeout", "dot")


@pytest.mark.parametrize(("repeats", "disposition"), [(1, "uncertain"), (400_000, "soft")], ids=["sent", "half-sent"])
async def test_a_reset_is_uncertain_only_when_the_dot_had_left(repeats: int, disposition: str) -> None:
    """The same break after a small message that left whole, and in the middle of a large one."""
    data = (b"x" * 76 + b"\r\n") * repeats
    async with Receiver(extensions=("PIPELINING",), reads=False) as receiver:
        task = asyncio.create_task(attempt(receiver, data))
        await until(lambda: "DATA" in receiver.commands)
        await asyncio.sleep(0.1)  # for the kernel's buffers to fill
        receiver.hang_up()
        result = await task
    assert (result.disposition, result.class_, result.stage) == (disposition, "connection_lost", "dot")


async def test_a_message_above_the_offered_size_is_not_sent() -> None:
    """RFC 1870: the receiver said what it takes; no MAIL is tried, and the address is not suppressed."""
    async with Receiver(extensions=("PIPELINING", "SIZE 1000")) as receiver:
        result = await attempt(receiver, b"x\r\n" * 400)
    assert (result.disposition, result.class_, result.smtp_code) == ("hard", "message_too_large", None)
    assert not result.suppresses and not any(command.startswith("MAIL") for command in receiver.commands)


async def test_an_address_beyond_ascii_needs_smtputf8() -> None:
    """RFC 6531: refused here where the receiver lacks it, sent with the parameter where it has it."""
    results = []
    for extensions in (("PIPELINING",), ("PIPELINING", "SMTPUTF8")):
        async with Receiver(extensions=extensions) as receiver:
            connection = await connect(receiver)
            results.append(await deliver(connection, SENDER, "太郎@docomo.example", MESSAGE))
            connection.wire.close()
    assert [(result.disposition, result.class_) for result in results] == [
        ("hard", "address_unsupported"),
        ("accepted", "accepted"),
    ]
    assert receiver.messages[0].parameters == "SMTPUTF8"


@pytest.mark.parametrize(
    "bad", ["a@b.example>\r\nRCPT TO:<c@d.example", "a\n@b.example", "a\0@b.example", "a>@b.example"]
)
@pytest.mark.parametrize("place", ["from", "to"])
async def test_an_address_that_could_end_its_command_is_refused(bad: str, place: str) -> None:
    """ValueError, before anything is sent; the connection stays usable."""
    async with Receiver() as receiver:
        connection = await connect(receiver)
        with pytest.raises(ValueError, match="nothing was sent"):
            await deliver(connection, bad if place == "from" else SENDER, bad if place == "to" else RECIPIENT, MESSAGE)
        assert connection.usable
        connection.wire.close()
    assert not any(command.startswith("MAIL") for command in receiver.commands)


@pytest.mark.parametrize("bad", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\nb\r\n", b"a\0b\r\n", b"a\n\r\n", b"\r\r\n"])
def test_a_message_with_bare_line_ends_is_refused(bad: bytes) -> None:
    """A bare CR or LF is a line end to some receivers: the smuggled second message never leaves."""
    with pytest.raises(ValueError, match="bare CR or LF"):
        stuffed(bad)


@given(st.lists(st.sampled_from([b"", b".", b"..", b"a", b".a", b"a.", b"\xff."]), max_size=8))
def test_stuffing_is_undone_by_the_receiver_and_holds_one_end(lines: list[bytes]) -> None:
    """Whatever the lines, the end of data stands only at the end, and RFC 5321 4.5.2's undoing gives them back."""
    data = b"".join(line + b"\r\n" for line in lines)
    wire = b"\r\n" + stuffed(data)
    assert wire.index(b"\r\n.\r\n") == len(wire) - 5
    undone = [line.removeprefix(b".") for line in wire[2:-3].split(b"\r\n")[:-1]] if data else []
    assert undone == lines


async def test_the_reply_kept_holds_no_address() -> None:
    """Events and logs must not tell whom we wrote to."""
    async with Receiver(script={"rcpt": f"550 5.1.1 <{RECIPIENT}>: user unknown\n550 5.1.1 {RECIPIENT}"}) as receiver:
        result = await attempt(receiver)
    assert RECIPIENT not in result.reply and "<address>: user unknown" in result.reply


@pytest.fixture
def sink(tmp_path: Path) -> tuple[int, Path]:
    """Postfix's smtp-sink: a receiver that isn't ours."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        pytest.skip("smtp-sink is missing: install Debian's postfix")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tmp_path.chmod(0o777)
    command = [program, "-u", "nobody", "-R", str(tmp_path), "-D", "mail.", f"127.0.0.1:{port}", "64"]
    process = subprocess.Popen(command)
    try:
        yield port, tmp_path
    finally:
        process.terminate()
        process.wait(5)


@pytest.mark.integration
async def test_a_foreign_server_takes_pipelined_messages(sink: tuple[int, Path]) -> None:
    """smtp-sink offers PIPELINING and gets 50 messages over one connection, each once."""
    port, folder = sink

    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    await until(listening)
    target = Target(host="localhost", address="127.0.0.1", port=port)
    connection = await open_connection(
        target, source=None, ehlo="m0.mail.example", via="127.0.0.1", settings=smtp_settings(), tls=TLS
    )
    assert "PIPELINING" in connection.extensions
    for number in range(50):
        result = await deliver(connection, SENDER, f"u{number}@sink.example", b"Subject: n\r\n\r\n.dot\r\n")
        assert result.disposition == "accepted"
    await connection.quit()
    dumped = b"".join(file.read_bytes() for file in folder.iterdir())
    assert [dumped.count(f"u{number}@sink.example".encode()) for number in range(50)] == [1] * 50
    assert dumped.count(b"\n.dot\n") == 50 or dumped.count(b"\n.dot\r\n") == 50


def test_the_codes_are_those_of_the_rfc() -> None:
    """RFC 5321 4.2.3."""
    assert (smtp.CLOSING, smtp.START_INPUT) == (421, 354)
