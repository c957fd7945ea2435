"""What a demo, a bench or a chaos run had to show: each thing with its value, its limit, and whether it holds.

A check compares with something counted aside, never with itself.
"""

from collections.abc import Sequence
from typing import Any

import msgspec


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold."""

    name: str
    value: float
    limit: float
    note: str = ""
    ok: bool = True

    def line(self) -> dict[str, Any]:
        """As every command's JSON line has it."""
        return {"name": self.name, "value": self.value, "limit": self.limit, "ok": self.ok}


def check(name: str, value: float, limit: float, note: str) -> Check:
    """The check of a value that must not be above its limit."""
    return Check(name=name, value=value, limit=limit, note=note, ok=value <= limit)


def summary(checks: Sequence[Check]) -> tuple[str, str]:
    """All of them in a line, and the style that a terminal shows it in."""
    failed = sum(not one.ok for one in checks)
    if failed:
        return f"✗ {failed} of {len(checks)} checks failed", "bold red"
    return f"✓ all {len(checks)} checks hold", "bold green"
