"""What a demo, a bench or a chaos run had to show: each thing with its value, its limit, and whether it holds.

A check compares with something counted aside, never with itself.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

# Differences that a note names.
_NAMED: Final = 5


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold: a value that is not above its limit, or not below it."""

    name: str
    value: float
    limit: float
    note: str
    bound: Literal["≤", "≥"] = "≤"

    @property
    def ok(self) -> bool:
        """Whether it holds; a value that is no number does not."""
        return self.value <= self.limit if self.bound == "≤" else self.value >= self.limit

    def line(self) -> dict[str, Any]:
        """As every command's JSON line has it."""
        return {"name": self.name, "value": self.value, "limit": self.limit, "ok": self.ok}


def at_most(name: str, value: float, limit: float, note: str) -> Check:
    """The check of a value that must not be above its limit."""
    return Check(name=name, value=value, limit=limit, note=note)


def at_least(name: str, value: float, limit: float, note: str) -> Check:
    """The check of a value that must not be below its limit."""
    return Check(name=name, value=value, limit=limit, note=note, bound="≥")


def summary(checks: Sequence[Check]) -> tuple[str, str]:
    """All of them in a line, and the style that a terminal shows it in."""
    failed = sum(not one.ok for one in checks)
    if failed:
        return f"✗ {failed} of {len(checks)} checks failed", "bold red"
    return f"✓ all {len(checks)} checks hold", "bold green"


def named(differences: Iterable[object]) -> str:
    """The first of them, and how many there are more."""
    all_of_them = [str(one) for one in differences]
    more = len(all_of_them) - _NAMED
    return "; ".join(all_of_them[:_NAMED]) + (f"; and {more:,} more" if more > 0 else "")
