"""Logs tell no mail address, whichever way it gets there."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from streams.runtime.client_logs import STATE_S, ClientLog
from streams.runtime.logs import mask

LOGGING = """
import logging, structlog, threading
from streams.runtime import logs
logs.configure("INFO")
log = structlog.get_logger("t")
class Fault(Exception): pass
log.info("sent to taro@docomo.example", slot=3)
log.info("as a value", to="<taro@docomo.example>", reply="550 5.1.1 <taro@docomo.example>: unknown")
log.info("as an object", error=Fault("no such user taro@docomo.example"))
log.info("within", rules=[{"to": "taro@docomo.example"}], raw=b"taro@docomo.example")
log.info("bound", **{"a": ("x", "taro+tag@docomo.example")})
try:
    raise Fault("RCPT TO:<taro@docomo.example>")
except Fault:
    log.exception("failed")
    logging.getLogger("aiokafka").exception("library failed for %s", "taro@docomo.example")
def fails(): raise Fault("RCPT TO:<taro@docomo.example>")
thread = threading.Thread(target=fails, name="library")
thread.start()
thread.join()
log.debug("too fine")
logging.getLogger("aiokafka").info("chatter")
"""


def test_whatever_is_logged_no_address_is_told() -> None:
    """In the event, as a value, inside an object, a list or bytes, in a traceback, by a library."""
    done = subprocess.run(
        [sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == ""
    assert "docomo" not in done.stderr and "taro" not in done.stderr.replace("taro+tag", "taro")
    lines = done.stderr.splitlines()
    assert sum("<address>" in line for line in lines) >= 7
    (of_thread,) = [line for line in lines if "thread=library" in line]
    assert 'error="Fault: RCPT TO:<<address>>"' in of_thread and done.stderr.count("Traceback") == 2
    assert "slot=3" in done.stderr and "too fine" not in done.stderr and "chatter" not in done.stderr


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("a@b.example", "<address>"),
        ("to=<u1@acme.example>, again", "to=<<address>>, again"),
        ("日本@例え.jp です", "<address> です"),
        ("no address here: 3 @ 5", "no address here: 3 @ 5"),
        ("u1@a.example,u2@b.example;u3@c.example", "<address>,<address>;<address>"),
    ],
)
def test_what_looks_like_an_address_is_masked_and_the_rest_stays(text: str, masked: str) -> None:
    """The words around it are what the reader needs."""
    assert mask(text) == masked


MEMBER = """
import logging, structlog
from concurrent.futures import ThreadPoolExecutor
from streams.runtime import logs
logs.configure("INFO", member="gate-3")
log = structlog.get_logger("t")
log.info("here")
with ThreadPoolExecutor(1) as threads:
    threads.submit(log.info, "there").result()
    threads.submit(logging.getLogger("aiokafka").warning, "library").result()
log.info("of another", member="gate-4")
"""


def test_a_workers_lines_name_it_from_every_thread() -> None:
    """Its own lines and the libraries'; a line that speaks of another member keeps that one's name."""
    done = subprocess.run(
        [sys.executable, "-c", MEMBER], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    lines = done.stderr.splitlines()
    assert [line.count("member=gate-3") for line in lines] == [1, 1, 1, 0]
    assert "member=gate-4" in lines[-1]


def test_what_librdkafka_says_is_told_once_for_each_state() -> None:
    """By however many clients, and with whatever counts; another reason, or the same after a long silence, is news."""
    now = 0.0
    said = ClientLog(clock=lambda: now)

    def fails(client: int, why: str, times: int) -> None:
        line = f"[thrd:127.0.0.1:9/1]: 127.0.0.1:9/1: Connect to ipv4#127.0.0.1:9 failed: {why} (after {client}ms"
        said.log(logging.ERROR, "%s [%s] %s", "FAIL", f"gate-{client}", f"{line}, {times} identical error(s))")

    with structlog.testing.capture_logs() as told:
        for second in range(60):
            now = float(second)
            fails(second % 12, "Connection refused", second)
        fails(0, "Connection timed out", 1)
        said.log(logging.CRITICAL, "%s [%s] %s", "FATAL", "gate-0", "[thrd:main]: Fatal error: fenced")
        now += STATE_S
        fails(1, "Connection refused", 1)
    refused, timed_out = (f"Connect to ipv4#127.0.0.1:9 failed: Connection {why}" for why in ("refused", "timed out"))
    assert [(one["log_level"], one["said"]) for one in told] == [
        ("info", refused),
        ("info", timed_out),
        ("critical", "Fatal error: fenced"),
        ("info", refused),
    ]
