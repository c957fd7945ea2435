"""The receiver's log as what is measured on: how much came when, from which IP, of which tenant.

It grows while a test runs: `Arrivals` reads on from where it was, so that a poll costs what is new.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

ACCEPTED: Final = 250


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One message or one refused recipient: epoch seconds, the sending IP, the tenant by its return path, to whom."""

    at: float
    peer: str
    tenant: str
    rcpt_to: str
    code: int
    outcome: str

    @property
    def accepted(self) -> bool:
        """Whether the receiver took it."""
        return self.code == ACCEPTED


class Arrivals:
    """All that came so far."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self._found: list[Arrival] = []

    def look(self) -> list[Arrival]:
        """Read on; everything since the beginning, in the order written."""
        with self._log.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._found.append(_arrival(line))
        return self._found

    def of_all(self, tenant: str) -> list[Arrival]:
        """A tenant's, the refused ones as well."""
        return [one for one in self.look() if one.tenant == tenant]

    def of(self, tenant: str) -> list[Arrival]:
        """A tenant's accepted ones."""
        return [one for one in self.look() if one.tenant == tenant and one.accepted]


def _arrival(line: bytes) -> Arrival:
    entry = json.loads(line)
    domain = entry["mail_from"].rpartition("@")[2]
    return Arrival(
        at=datetime.fromisoformat(entry["at"]).timestamp(),
        peer=entry["peer"],
        tenant=domain.removeprefix("bounce.").removesuffix(".example"),
        rcpt_to=entry["rcpt_to"][0],
        code=entry["code"],
        outcome=entry["outcome"],
    )


def times(arrivals: Sequence[Arrival], such: Callable[[Arrival], bool] = lambda _: True) -> list[float]:
    """When these came, sorted."""
    return sorted(one.at for one in arrivals if such(one))


def between(at: Sequence[float], begin: float, end: float) -> int:
    """How many of the sorted times lie from `begin` to before `end`."""
    return bisect_left(at, end) - bisect_left(at, begin)


def busiest(at: Sequence[float], seconds: float) -> int:
    """The most of the sorted times that lie within any so many seconds."""
    most = begin = 0
    for end, moment in enumerate(at):
        while at[begin] <= moment - seconds:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def minutes(at: Sequence[float], begin: float, end: float) -> Iterator[int]:
    """How many lie in each whole minute from `begin` on, the last one before `end`."""
    while begin + 60 <= end:
        yield between(at, begin, begin + 60)
        begin += 60
