"""Clients and receivers that aren't ours: kcat writes the events, Postfix's smtp-sink takes the mail."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from schemas import ids
from tests.support.e2e import GATE_PARTITIONS, Box, until

_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_RCPT: Final = re.compile(rb"^X-Rcpt-Args: <([^>\r\n]+)>", re.MULTILINE)
_MESSAGE_ID: Final = re.compile(rb"^Message-ID: (<[^>\r\n]+>)", re.MULTILINE)
CAP: Final = 2


def program(name: str, package: str) -> str:
    """A foreign program's path; the test is skipped (in CI: failed) without it."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.skip(f"{name} is missing: install Debian's {package}")
    return found


@dataclass(frozen=True, kw_only=True)
class Sink:
    """A running smtp-sink and the folder that it dumps into."""

    port: int
    folder: Path

    def _dumped(self) -> bytes:
        return b"".join(file.read_bytes() for file in sorted(self.folder.iterdir()))

    def recipients(self) -> Counter[str]:
        """How many messages came for each address."""
        return Counter(address.decode() for address in _RCPT.findall(self._dumped()))

    def message_ids(self) -> Counter[str]:
        """How often each Message-ID came."""
        return Counter(found.decode() for found in _MESSAGE_ID.findall(self._dumped()))


@contextmanager
def smtp_sink(folder: Path) -> Iterator[Sink]:
    """Postfix's smtp-sink on a free port, listening."""
    command = program("smtp-sink", "postfix")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(mode=0o777, parents=True)
    folder.chmod(0o777)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with subprocess.Popen([command, "-u", "nobody", "-R", folder, "-D", "mail.", f"127.0.0.1:{port}", "256"]) as sink:
        try:
            until(listens, "smtp-sink")
            yield Sink(port=port, folder=folder)
        finally:
            sink.terminate()


def kcat(world: Box, topic: str, lines: Iterable[str], *options: str) -> None:
    """Produce JSON lines by kcat with its own default partitioner."""
    kafka = world.settings.kafka
    command = [program("kcat", "kcat"), "-P", "-b", str(kafka.bootstrap), "-t", kafka.prefix + topic, *options]
    subprocess.run(command, input="\n".join(lines).encode(), check=True, timeout=60)


def line(campaign: str, person: str, address: str, *, key: bool) -> str:
    """An event as one line, its key before a tab if wanted."""
    tenant, _, name = campaign.partition(":")
    event = {
        "tenant": tenant,
        "campaign_id": name,
        "recipient_id": person,
        "to": {"channel": "mail", "address": address},
        "variables": {"name": f"太郎 {person}"},
        "from_our_crm": True,
    }
    text = json.dumps(event, ensure_ascii=False)
    return f"{tenant}:{person}\t{text}" if key else text


def kcat_to_smtp_sink(world: Box, sink: Sink, *, recipients: int) -> dict[str, Any]:
    """A third each: lz4 and keyed, zstd and keyed, without key; each reaches the sink once."""
    world.tenant("foreign")
    campaign = world.campaign("foreign:kcat")
    people = [(f"u{n}", f"u{n}@foreign.example") for n in range(recipients)]
    ways = ((True, ("-K", "\t", "-z", "lz4")), (True, ("-K", "\t", "-z", "zstd")), (False, ("-z", "snappy")))
    for number, (key, options) in enumerate(ways):
        lines = [line(campaign, person, address, key=key) for person, address in people[number :: len(ways)]]
        kcat(world, "recipients.marketing", lines, *options)
    balance = world.balanced(campaign, events=recipients)
    assert balance.types == {"accepted": recipients}
    misplaced = sum(
        at.partition != ids.partition_for(f"foreign:{one['recipient_id']}".encode(), GATE_PARTITIONS)
        for at, many in balance.finals.items()
        for one in many
    )
    assert misplaced > recipients / 3, "kcat's partitioner places elsewhere: else this test shows nothing"
    ours = {name: count for name, count in sink.recipients().items() if name.endswith("@foreign.example")}
    assert ours == {address: 1 for _, address in people}
    sent = {one["send_id"] for many in balance.finals.values() for one in many}
    found = sink.message_ids()
    assert all(found[f"<{send}@foreign.example>"] == 1 for send in sent)
    return {"recipients": recipients, "misplaced": misplaced, "outcomes": dict(balance.types)}


def cap_across_partitioners(world: Box, sink: Sink, *, people: int) -> dict[str, Any]:
    """The same persons by kcat's placement, without a key, and by murmur2, at once: never above the cap."""
    world.tenant("placed", caps=[{"class": "marketing", "max": CAP, "per": "7d"}])
    crc, keyless, murmur = (world.campaign(f"placed:{name}", cap_class="marketing") for name in ("a", "b", "c"))
    everybody = [(f"u{n}", f"u{n}@placed.example") for n in range(people)]
    kcat(world, "recipients.marketing", [line(crc, *one, key=True) for one in everybody], "-K", "\t")
    world.recipients(murmur, everybody)
    kcat(world, "recipients.marketing", [line(keyless, *one, key=False) for one in everybody])
    balance = world.balanced(crc, keyless, murmur, events=3 * people)
    assert Counter(map(tuple, balance.of_recipients().values())) == {("accepted", "accepted", "capped"): people}
    ours = {name: count for name, count in sink.recipients().items() if name.endswith("@placed.example")}
    assert ours == {address: CAP for _, address in everybody}
    return {"people": people, "outcomes": dict(balance.types)}
