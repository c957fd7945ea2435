"""The table of a role that keeps no state: nothing to undo, to log or to recover."""

from collections.abc import Iterator
from contextlib import contextmanager


class NoTable:
    """Stands where a `PartitionTable` would."""

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Nothing is written, so nothing is taken back."""
        yield

    def reach(self, topic: str, offset: int) -> None:
        """Only the group's offsets remember it."""

    def reached(self) -> dict[str, int]:
        """As above."""
        return {}

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """None, ever."""
        return []

    def discard(self) -> None:
        """Nothing to forget."""

    def apply(self, next_offset: int | None) -> None:
        """Nothing to keep."""

    def close(self) -> None:
        """Nothing to close."""
