"""Which partition numbers this member has local state of: worth more to it than to others (tables, journals).

Below `data_dir/state/<member>` each owner keeps one folder, `<what>-<number>`.
"""

from streams.runtime.settings import Settings


def held_on_disk(settings: Settings, member: str) -> frozenset[int]:
    """The numbers, as far as the folders' names tell."""
    folder = settings.data_dir / "state" / member
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    numbers = (name.rpartition("-")[2] for name in names)
    return frozenset(int(number) for number in numbers if number.isdecimal())
