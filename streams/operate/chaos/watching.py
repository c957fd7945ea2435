"""Whom a run tells what happens, and what it waits for."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from streams.operate.errors import FleetError

# Seconds between two looks at whatever is waited for.
LOOK_S: Final = 0.5


class Watcher(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the run tells: `phase` begins, `note` happened, `progress` is (arrived, done, planned)."""

    phase: Callable[[str], None]
    note: Callable[[str], None]
    progress: Callable[[int, int, int], None]


def until(fact: Callable[[], bool], limit_s: float, words: str) -> None:
    """Wait for a fact.  Raises FleetError, with these words, where it does not come."""
    deadline = time.monotonic() + limit_s
    while not fact():
        if time.monotonic() > deadline:
            raise FleetError(f"{words} (after {limit_s:.0f} s)")
        time.sleep(LOOK_S)
