"""What goes wrong in the simulator.

SimulatorError
├── BadSettingError     a setting that can't be: name, value, what it must be
├── CannotListenError   an address and port can't be bound: which, and why
├── BadFileError        a file given to it is missing or has another shape: which, and what it must hold
├── LogBrokenError      a line of its log does not read back: file and line number
└── LogLostError        its log can't be written any more: it stops instead of accepting what it can't record
"""

from pathlib import Path


class SimulatorError(Exception):
    """Root of the simulator's errors; the text is fit for the user."""


class BadSettingError(SimulatorError):
    """A setting out of its range."""

    def __init__(self, name: str, value: object, must: str) -> None:
        super().__init__(f"{name} = {value!r}: must be {must}")


class CannotListenError(SimulatorError):
    """The address is taken, not ours, or needs rights that we don't have."""

    def __init__(self, what: str, host: str, port: int, reason: str) -> None:
        super().__init__(f"{what} can't listen on {host}:{port} ({reason}); choose another port, or 0 for a free one")


class BadFileError(SimulatorError):
    """A file named in the settings does not read."""

    def __init__(self, option: str, path: Path, reason: str) -> None:
        super().__init__(f"{option} {path}: {reason}")


class LogBrokenError(SimulatorError):
    """A whole line that is no entry: the file is not, or not only, a simulator's log."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}; is this the log of `evenpost simulate-smtp`?")
        self.line = line


class LogLostError(SimulatorError):
    """Writing failed; a message accepted without its line would make the log lie."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"can't write the log {path} ({reason}); free some space and start again")
