"""Which partition numbers this member has local state of: worth more to it than to others (tables, journals).

Below `data_dir/state/<member>` each owner keeps one folder, `<what>-<number>`.
"""

from pathlib import Path

from streams.runtime.settings import Settings


def state_path(settings: Settings, member: str, name: str) -> Path:
    """Where a member keeps the local copy of a table."""
    return _folder(settings, member) / name


def held_on_disk(settings: Settings, member: str) -> frozenset[int]:
    """The numbers, as far as the folders' names tell."""
    folder = _folder(settings, member)
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    numbers = (name.rpartition("-")[2] for name in names)
    return frozenset(int(number) for number in numbers if number.isdecimal())


def _folder(settings: Settings, member: str) -> Path:
    return settings.data_dir / "state" / member
