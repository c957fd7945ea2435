"""The simulator over real sockets, with foreign clients: aiosmtplib and Postfix's smtp-source."""

import asyncio
import hashlib
import shutil
import ssl
import sys
import time
from pathlib import Path

import aiosmtplib
import pytest
import trustme

from streams.operate.simulator import read_log
from tests.operate.simulator.builders import SENDER, message, raw_client, send, simulator

pytestmark = pytest.mark.integration
SMTP_SOURCE = shutil.which("smtp-source") or shutil.which("smtp-source", path="/usr/sbin")


@pytest.mark.parametrize(
    ("recipient", "codes"),
    [
        ("taro@docomo.example", [250, 250]),
        ("greylist-1@docomo.example", [450, 250, 250]),
        ("taro@greylist-2.example", [450, 250]),
        ("unknown@docomo.example", [550, 550]),
        ("full@docomo.example", [452, 452]),
        ("throttle@docomo.example", [421, 451, 250]),
        ("drop@docomo.example", [0, 250]),
        ("spam@docomo.example", [554, 554]),
    ],
)
async def test_the_address_chooses(tmp_path: Path, recipient: str, codes: list[int]) -> None:
    """Each try gets the code that the table says, and the log says the same."""
    async with simulator(tmp_path) as (running, log):
        assert [await send(running.smtp_port, recipient) for _ in codes] == codes
        assert [(entry.code, entry.rcpt_to) for entry in read_log(log)] == [(code, (recipient,)) for code in codes]


async def test_tries_are_counted_for_the_recipient(tmp_path: Path) -> None:
    """Another sender's retry passes greylisting, another recipient's first try does not."""
    async with simulator(tmp_path) as (running, _):
        port = running.smtp_port
        assert await send(port, "greylist-1@a.example") == 450
        assert await send(port, "GREYLIST-1@a.example", sender="other@acme.example") == 250
        assert await send(port, "greylist-2@a.example") == 450


async def test_taken_and_dropped(tmp_path: Path) -> None:
    """`dropafter` loses the reply of a message that was taken; its resend is a second accepted line."""
    async with simulator(tmp_path) as (running, log):
        assert [await send(running.smtp_port, "dropafter@a.example") for _ in range(2)] == [0, 250]
        assert [(entry.code, entry.outcome) for entry in read_log(log)] == [(250, "dropafter"), (250, "accept")]


@pytest.mark.alone
async def test_slow_delays_its_own_connection_alone(tmp_path: Path) -> None:
    """`slow` answers after the delay; commands behind it wait, another connection does not."""
    async with simulator(tmp_path, slow_s=0.3) as (running, _), raw_client(running.smtp_port) as client:
        started = time.monotonic()
        client.write(b"MAIL FROM:<>\r\nRCPT TO:<slow@a.example>\r\nDATA\r\n" + message() + b".\r\nNOOP\r\nQUIT\r\n")
        assert await client.codes(3) == [b"250", b"250", b"354"]
        assert await send(running.smtp_port, "taro@a.example") == 250
        assert time.monotonic() - started < 0.3
        assert await client.codes(3) == [b"250", b"250", b"221"]
        assert time.monotonic() - started >= 0.3
        assert await client.closed()


async def test_a_sender_that_left_during_the_delay(tmp_path: Path) -> None:
    """A message whose sender closed before the delayed reply is not accepted."""
    async with simulator(tmp_path, slow_s=0.1) as (running, log):
        async with raw_client(running.smtp_port) as client:
            client.write(b"MAIL FROM:<>\r\nRCPT TO:<slow-1@a.example>\r\nDATA\r\n" + message() + b".\r\n")
            await client.codes(3)
        assert await send(running.smtp_port, "slow-2@a.example") == 250
        assert [entry.rcpt_to for entry in read_log(log)] == [("slow-2@a.example",)]


async def test_a_pipelined_group(tmp_path: Path) -> None:
    """Several transactions in one write: a reply to each command in order, and only good recipients in the log."""
    async with simulator(tmp_path) as (running, log), raw_client(running.smtp_port) as client:
        group = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<unknown@c.example>\r\nRCPT TO:<taro@c.example>\r\nDATA\r\n"
        client.write((group + message() + b".\r\n") * 2 + b"QUIT\r\n")
        assert await client.codes(11) == [b"250", b"550", b"250", b"354", b"250"] * 2 + [b"221"]
        assert [(entry.code, entry.rcpt_to) for entry in read_log(log)] == [
            (550, ("unknown@c.example",)),
            (250, ("taro@c.example",)),
        ] * 2


async def test_bytes_are_kept_as_sent(tmp_path: Path) -> None:
    """Lines of dots arrive byte for byte, by aiosmtplib's stuffing; digest, size, ids and peer are the message's."""
    data = message(7, body=b".\r\n..\r\n.a\r\na.\r\n\r\n...\r\n" + "エイクミ🍁".encode() + b"\r\n.\r\n")
    async with simulator(tmp_path, keep_every=1, keep_dir=tmp_path / "kept") as (running, log):
        assert await send(running.smtp_port, "taro@a.example", data) == 250
        [entry] = read_log(log)
    digest = hashlib.sha256(data).hexdigest()
    assert (entry.sha256, entry.size, entry.message_id, entry.subject) == (digest, len(data), "<m7@acme.example>", "hi")
    assert (entry.peer, entry.helo, entry.mail_from) == ("127.0.0.1", "client.example", SENDER)
    assert (tmp_path / "kept" / f"{digest}.eml").read_bytes() == data


async def test_each_kth_is_kept(tmp_path: Path) -> None:
    """With `keep_every` 3 of 7 accepted messages the third and the sixth are kept."""
    async with simulator(tmp_path, keep_every=3, keep_dir=tmp_path / "kept") as (running, log):
        for number in range(7):
            await send(running.smtp_port, "taro@a.example", message(number))
        wanted = {f"{entry.sha256}.eml" for entry in list(read_log(log))[2::3]}
    assert {path.name for path in (tmp_path / "kept").iterdir()} == wanted and len(wanted) == 2


async def test_starttls(tmp_path: Path) -> None:
    """With a certificate STARTTLS is offered once and used; who leaves in the handshake does no harm."""
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with simulator(tmp_path, tls_cert=tmp_path / "cert.pem") as (running, log):
        async with aiosmtplib.SMTP(
            hostname="localhost", port=running.smtp_port, start_tls=True, tls_context=context, timeout=5
        ) as client:
            assert not client.supports_extension("starttls")
            await client.sendmail(SENDER, ["taro@a.example"], message())
        async with raw_client(running.smtp_port) as leaver:
            leaver.write(b"STARTTLS\r\n")
            assert await leaver.codes(1) == [b"220"]
        assert await send(running.smtp_port, "unknown@a.example") == 550
        assert [entry.code for entry in read_log(log)] == [250, 550]


async def test_smtp_source(tmp_path: Path) -> None:
    """Postfix's load generator: as many lines as messages, each recipient once, over four connections."""
    if SMTP_SOURCE is None:
        pytest.skip("smtp-source is missing: Debian's package postfix")
    async with simulator(tmp_path) as (running, log):
        source = await asyncio.create_subprocess_exec(
            *(SMTP_SOURCE, "-N", "-d", "-s", "4", "-m", "300", "-l", "10000", "-M", "source.example"),
            *("-f", SENDER, "-t", "taro@a.example", f"127.0.0.1:{running.smtp_port}"),
        )
        assert await source.wait() == 0
        entries = list(read_log(log))
    assert len({entry.rcpt_to for entry in entries}) == len(entries) == running.log.accepted == 300
    assert all(entry.accepted and entry.size > 10_000 and entry.helo == "source.example" for entry in entries)


async def test_a_client_killed_in_data(tmp_path: Path) -> None:
    """After kill -9 of a sender in the middle of its message leaves no line."""
    script = (
        "import smtplib, sys\n"
        "client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))\n"
        "client.ehlo(); client.mail('a@b.example'); client.rcpt('taro@a.example'); client.docmd('DATA')\n"
        "client.send('Subject: half\\r\\n\\r\\nnot all'); print('sent', flush=True); sys.stdin.read()\n"
    )
    async with simulator(tmp_path) as (running, log):
        victim = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(running.smtp_port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert victim.stdout is not None and await victim.stdout.readline() == b"sent\n"
        victim.kill()
        await victim.wait()
        assert await send(running.smtp_port, "hanako@a.example") == 250
        assert [entry.rcpt_to for entry in read_log(log)] == [("hanako@a.example",)]


async def test_the_end_is_said(tmp_path: Path) -> None:
    """Whoever is connected when the simulator ends hears 421 and the connection is closed."""
    async with simulator(tmp_path) as (running, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.smtp_port)
        await reader.readline()
    assert (await reader.read()).startswith(b"421 4.3.2 ")
    writer.close()
