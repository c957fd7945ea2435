"""What is wrong with what automation was told.

ControlError
└── RuleFault   a table of automation's settings that can't be meant: file, table, field, value and fix
"""

from typing import Any, Final

from streams.runtime.errors import RuntimeFault

# Characters of a wrong value that its error shows.
_SHOWN: Final = 80


class ControlError(RuntimeFault):
    """Root of this room's errors; its words go to the user as they are."""


class RuleFault(ControlError):
    """One field of one table, such as `rule.blocked-ip`; `must` says what is right."""

    def __init__(self, source: str, table: str, field: str, value: Any, must: str) -> None:
        text = repr(value)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        super().__init__(f"{source}: [{table}] {field} = {shown}: {must}")
        self.table = table
        self.field = field
