"""Who gets no mail, by address id: the part of the world that may be too large for memory.

`SuppressionStore` is what a `World` asks of whoever keeps the entries; `SuppressionsInMemory` keeps them in a dict.
A role with many of them injects one that keeps them on disk (streams.runtime.state.suppression_disk).
"""

from collections.abc import Iterable
from typing import Protocol

from schemas.events import Suppression


class SuppressionStore(Protocol):
    """The entries of every address.  Written by one thread, read by others."""

    def entries(self, address_id: str) -> Iterable[Suppression]:
        """The entries of one address."""

    def put(self, key: str, entry: Suppression, value: bytes) -> None:
        """Set the entry of this key; `value` is the record that it was read from."""

    def remove(self, key: str) -> None:
        """Remove the entry of this key, if there is one."""

    def __bool__(self) -> bool:
        """False only where no entry stands at all."""


class SuppressionsInMemory:
    """The entries as a dict: each update is one assignment, so that a reader sees an address before or after it."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Suppression]] = {}

    def entries(self, address_id: str) -> Iterable[Suppression]:
        """The entries of one address."""
        return self._entries.get(address_id, {}).values()

    def put(self, key: str, entry: Suppression, value: bytes) -> None:
        """Set the entry of this key."""
        del value
        self._entries[entry.address_id] = self._entries.get(entry.address_id, {}) | {key: entry}

    def remove(self, key: str) -> None:
        """Remove the entry of this key, if there is one."""
        address = address_of(key)
        left = {name: entry for name, entry in self._entries.get(address, {}).items() if name != key}
        if left:
            self._entries[address] = left
        else:
            self._entries.pop(address, None)

    def __bool__(self) -> bool:
        """Whether an entry stands."""
        return bool(self._entries)


def address_of(key: str) -> str:
    """The address id that an entry's key ends with."""
    return key.rpartition("/")[2]
