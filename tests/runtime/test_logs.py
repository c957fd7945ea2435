"""Logs tell no mail address, whichever way it gets there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streams.runtime.logs import mask

LOGGING = """
import logging, structlog
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
