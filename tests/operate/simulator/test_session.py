"""The dialogue and the message's bytes, without sockets."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operate.simulator.log import Entry, MessageLog, read_log
from streams.operate.simulator.message import header_values, layout_fault, unstuff
from streams.operate.simulator.session import MAX_COMMAND_LINE, Desk, Session

AT = datetime(2026, 11, 24, tzinfo=UTC)
LINES = st.lists(st.text(alphabet=".a\x00é ", max_size=6).map(lambda text: text.encode()), max_size=8)


def dialogue(*chunks: bytes, max_size: int = 10_000) -> tuple[list[bytes], list[Entry]]:
    """Each reply's code after the greeting, and the log, of a session fed so."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        log = MessageLog(path)
        session = Session(Desk(log=log, hostname="sim.example", max_size=max_size, clock=lambda: AT), "127.0.0.2")
        for chunk in (b"EHLO c.example\r\n", *chunks):
            session.feed(chunk)
        log.flush()
        log.close()
        codes = [line[:3] for line in session.take_replies().split(b"\r\n") if line[3:4] == b" "]
        return codes[2:], list(read_log(path))


def stuffed(lines: list[bytes]) -> bytes:
    """As RFC 5321 4.5.2 says a client does it: line by line."""
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)


@given(LINES, st.data())
def test_bytes_survive_any_split(lines: list[bytes], data: st.DataObject) -> None:
    """However the wire cuts it, a dot-stuffed message is taken as the bytes it was made of, then the next command."""
    message = b"".join(line + b"\r\n" for line in lines)
    wire = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" + stuffed(lines) + b".\r\nNOOP\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    chunks = [wire[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    codes, log = dialogue(*chunks)
    assert codes == [b"250", b"250", b"354", b"250", b"250"]
    assert unstuff(b"\r\n" + stuffed(lines)) == message
    assert [(entry.size, entry.peer, entry.at, entry.accepted) for entry in log] == [
        (len(message), "127.0.0.2", AT, True)
    ]


@given(st.lists(st.integers(0, 2500), max_size=6))
def test_long_lines(lengths: list[int]) -> None:
    """A message is refused if and only if a line is longer than 998 octets without its CRLF."""
    data = b"".join(b"x" * length + b"\r\n" for length in lengths)
    assert (layout_fault(data) is None) == all(length <= 998 for length in lengths)


@pytest.mark.parametrize("data", [b"a\nb\r\n", b"a\rb\r\n", b"a\n\r\r\n", b"a\r\n.\nb\r\n"])
def test_bare_newlines(data: bytes) -> None:
    """A CR or LF alone is refused: it is how messages are smuggled."""
    fault = layout_fault(data)
    assert fault is not None and fault.code == 554


def test_headers() -> None:
    """Header values are the first ones, unfolded, and from the header alone."""
    data = b"Subject: one\r\n  two\r\nMESSAGE-ID:<a@b>\r\nSubject: three\r\n\r\nX-Body: no\r\n"
    assert header_values(data, b"message-id", b"subject", b"x-body") == ["<a@b>", "one  two", None]
    assert header_values(b"\r\nSubject: in the body\r\n", b"subject") == [None]
    assert header_values(b"Subject: no end", b"subject") == ["no end"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"FROB\r\n", b"500"),
        (b"NOOP\n", b"500"),
        (b"NOOP " + b"x" * MAX_COMMAND_LINE + b"\r\n", b"500"),
        (b"EHLO\r\n", b"501"),
        (b"RCPT TO:<a@b.example>\r\n", b"503"),
        (b"DATA\r\n", b"503"),
        (b"STARTTLS\r\n", b"502"),
        (b"MAIL FROM:a@b.example\r\n", b"501"),
        (b"MAIL FROM:<a@b.example> SIZE=10001\r\n", b"552"),
        (b"MAIL FROM:<a@b.example> RET=FULL\r\n", b"555"),
        ("MAIL FROM:<é@b.example>\r\n".encode(), b"553"),
        (b"MAIL FROM:<> SIZE=10000 BODY=8BITMIME\r\n", b"250"),
        (b"VRFY a\r\n", b"252"),
        (b"RSET\r\n", b"250"),
    ],
)
def test_each_command_is_answered(line: bytes, code: bytes) -> None:
    """Each line gets one reply of the right code, and the dialogue goes on after it."""
    codes, _ = dialogue(line, b"NOOP\r\n")
    assert codes == [code, b"250"]


@pytest.mark.parametrize("address", [b"", b"nobody", b"@b.example", b"a@"])
def test_bad_recipients(address: bytes) -> None:
    """A recipient needs a local part and a domain; without one, DATA is refused."""
    codes, _ = dialogue(b"MAIL FROM:<>\r\nRCPT TO:<%b>\r\nDATA\r\n" % address)
    assert codes == [b"250", b"501", b"554"]


def test_too_big_without_saying_so() -> None:
    """A message past SIZE is refused at its end, however it is cut, and not kept in memory meanwhile."""
    chunk = b"x" * 98 + b"\r\n"
    codes, log = dialogue(
        b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n", *[chunk] * 200, b".\r\nNOOP\r\n", max_size=10_000
    )
    assert codes == [b"250", b"250", b"354", b"552", b"250"]
    assert [(entry.code, entry.outcome) for entry in log] == [(552, "too-big")]


def test_size_counts_without_stuffing() -> None:
    """A message of exactly the size limit is taken though its dots make it longer on the wire (RFC 1870 5)."""
    lines = [b"."] * 100
    codes, log = dialogue(b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n", stuffed(lines) + b".\r\n", max_size=300)
    assert codes[-1] == b"250" and log[0].size == 300


def test_tls_starts_afresh(tmp_path: Path) -> None:
    """What was said, or sent ahead, in clear text is forgotten; what TLS gives before it is up is answered after."""
    desk = Desk(log=MessageLog(tmp_path / "log"), hostname="sim.example", max_size=1000, starttls=True)
    session = Session(desk, "127.0.0.2")
    session.feed(b"EHLO c.example\r\nSTARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@a.example>\r\n")
    assert session.take_replies().endswith(b"220 2.0.0 ready to start TLS\r\n") and session.then == "starttls"
    session.feed(b"RCPT TO:<a@b.example>\r\nMAIL FROM:<>\r\nSTARTTLS\r\n")
    assert session.take_replies() == b""
    session.upgraded()
    assert [line[:3] for line in session.take_replies().splitlines()] == [b"503", b"503", b"502"]
    desk.log.close()
