"""DKIM (RFC 6376) verified by code that is not ours: dkimpy, with keys from DNS, and OpenDKIM where it is installed.

The messages are those that the receiver kept, byte for byte as they came over the wire.
"""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import dns.resolver
import msgspec

from streams.operate.demo.stage import Receiver
from streams.operate.proof.signatures import Lookup, passes

# Debian puts it where a user's PATH does not look.
_PLACES: Final = "/usr/sbin:/usr/local/sbin:/sbin"
# Files on one command line: far below Linux's 2 MB of arguments.
_CHUNK: Final = 100
_VERDICT: Final = "dkim=pass"
_LIMIT_S: Final = 60.0


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages were looked at, and how many each verifier passed; None = OpenDKIM is not here."""

    sampled: int
    dkimpy: int
    opendkim: int | None


def verify(receiver: Receiver, folder: Path) -> Verified:
    """Verify each message that the receiver kept."""
    mails = sorted(receiver.kept.glob("*.eml"))
    lookup = _lookup(receiver.dns_port)
    return Verified(
        sampled=len(mails),
        dkimpy=sum(passes(mail.read_bytes(), lookup) for mail in mails),
        opendkim=_opendkim(mails, receiver, folder),
    )


def _lookup(port: int) -> Lookup:
    """TXT records from the simulator's DNS, as any verifier would ask for them."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = port

    @cache
    def text(name: bytes) -> bytes | None:
        try:
            answer = resolver.resolve(name.decode(), "TXT")
        except dns.resolver.NoAnswer:
            return None
        return b"".join(answer[0].strings)

    return lambda name, **_: text(name)


def _opendkim(mails: list[Path], receiver: Receiver, folder: Path) -> int | None:
    program = shutil.which("opendkim") or shutil.which("opendkim", path=_PLACES)
    if program is None:
        return None
    # Its library asks for keys at port 53 only, so they come from a file.
    keys, configuration = folder / "opendkim-keys", folder / "opendkim.conf"
    records = json.loads(receiver.keys.read_bytes())
    keys.write_text("".join(f"{name} {record}\n" for name, record in records.items()), encoding="ascii")
    configuration.write_text(f"Mode v\nTestPublicKeys {keys}\nLogWhy yes\nSyslog no\n", encoding="utf-8")
    passed = 0
    for start in range(0, len(mails), _CHUNK):
        listed = ",".join(str(mail) for mail in mails[start : start + _CHUNK])
        ran = subprocess.run(
            [program, "-x", configuration, "-t", listed, "-vv"], capture_output=True, check=False, timeout=_LIMIT_S
        )
        passed += sum(_VERDICT in line for line in (ran.stdout + ran.stderr).decode("utf-8", "replace").splitlines())
    return passed
