"""The simulator as a process: ready file, signals, log, and words for bad input."""

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib
import msgspec
import pytest
import trustme

from streams.operate.simulator import SimulatorError, read_log
from tests.operate.simulator.builders import SENDER, message

COMMAND = (sys.executable, "-m", "streams.operate.simulator")


@asynccontextmanager
async def process(folder: Path, *options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A simulator of its own process, and its SMTP port."""
    ready = folder / "ready.json"
    running = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--log", str(folder / "log.jsonl"), "--ready-file", str(ready), *options),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(20):
            while not ready.exists() and running.returncode is None:  # noqa: ASYNC110  # another process's file
                await asyncio.sleep(0.02)
        ports = msgspec.json.decode(ready.read_bytes())
        assert ports["pid"] == running.pid and ports["dns_port"] > 0
        yield running, ports["smtp_port"]
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


@pytest.mark.integration
async def test_sigterm_ends_it_with_a_summary(tmp_path: Path) -> None:
    """On uvloop too STARTTLS works; SIGTERM ends with exit code 0 and one line that counts what happened."""
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with process(tmp_path, "--tls-cert", str(tmp_path / "cert.pem")) as (running, port):
        async with aiosmtplib.SMTP(
            hostname="localhost", port=port, start_tls=True, tls_context=context, timeout=5
        ) as client:
            await client.sendmail(SENDER, ["taro@a.example"], message())
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
                await client.sendmail(SENDER, ["unknown@a.example"], message())
        running.send_signal(signal.SIGTERM)
        _, words = await running.communicate()
    assert running.returncode == 0
    assert b"accepted 1 (0.0 MB), refused 1 (unknown 1)" in words.splitlines()[-1]


@pytest.mark.integration
async def test_what_was_answered_is_logged_when_it_is_killed(tmp_path: Path) -> None:
    """After kill -9 right behind a 250 the log has each message that was answered, whole."""
    async with process(tmp_path) as (running, port):
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
        await client.connect()
        for number in range(40):
            await client.sendmail(SENDER, ["taro@a.example"], message(number))
        running.kill()
        await running.wait()
        client.close()
    assert [entry.message_id for entry in read_log(tmp_path / "log.jsonl")] == [
        f"<m{n}@acme.example>" for n in range(40)
    ]


def test_a_log_that_grows_and_one_that_is_none(tmp_path: Path) -> None:
    """A last line without its end is not there yet; a whole line that is no entry is named by number."""
    path = tmp_path / "log"
    path.write_bytes(b'{"at":"2026-11-24T00:00:00Z","peer":"127.0.0.2"')
    assert list(read_log(path)) == []
    path.write_bytes(b'{"to":"me"}\n')
    with pytest.raises(SimulatorError, match="line 1"):
        list(read_log(path))


def test_help_teaches_the_addresses() -> None:
    """`--help` has an example and the table of outcomes."""
    words = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    assert "example:" in words and "`greylist`" in words and "`dropafter`" in words


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    """A port in use and a broken TXT file are named with value and fix, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = subprocess.run(
            [*COMMAND, "--log", str(tmp_path / "log"), "--port", port], capture_output=True, text=True, check=False
        )
    assert answer.returncode == 1 and f"127.0.0.1:{port}" in answer.stderr and "Traceback" not in answer.stderr
    (tmp_path / "txt").write_text("[]")
    answer = subprocess.run(
        [*COMMAND, "--txt", str(tmp_path / "txt"), "--slow-s", "-1"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2 and "slow_s = -1.0" in answer.stderr
    answer = subprocess.run([*COMMAND, "--txt", str(tmp_path / "txt")], capture_output=True, text=True, check=False)
    assert answer.returncode == 1 and "_domainkey" in answer.stderr and "Traceback" not in answer.stderr
