"""What an operator is told when a command can't do what was asked: one line with the thing, the value and the fix.

OperateError                 exit code 1
├── RefusedError             the thing is known and the answer is no: a refused campaign, bad rows
├── UnknownThingError        no campaign, slot or member of that name
├── FleetError               a role did not get ready, or the data directory is in use
└── UsageFault               exit code 2: what was given can't be meant
    ├── SettingsFault        settings that don't load
    └── DocumentFault        a file whose fields are wrong, each named
"""

from collections.abc import Sequence
from pathlib import Path


class OperateError(Exception):
    """Root; its words go to the user as they are."""

    exit_code = 1


class RefusedError(OperateError):
    """Understood, and not done."""


class UnknownThingError(OperateError):
    """Nothing of that name; the words name near ones."""


class FleetError(OperateError):
    """The processes of this machine are not as they should be."""


class UsageFault(OperateError):
    """What was given can't be meant: an option, a file, a setting."""

    exit_code = 2


class SettingsFault(UsageFault):
    """Settings that don't load."""


class DocumentFault(UsageFault):
    """A file that says something wrong; `problems` holds a line for each."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        super().__init__(f"{path}: " + ("; ".join(problems)))
        self.path = path
        self.problems = tuple(problems)
