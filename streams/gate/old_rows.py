"""Rows that waited when the waiting room had no providers: `w/<tenant:campaign>/<lane>/<due>/<send id>`.

They are found when a partition is taken, and brought over a few at a time, before anything is released: a hundred
thousand in one transaction would outlast it.  Until its turn comes each waits on.
"""

from collections import deque
from collections.abc import Iterator

import msgspec

from streams.gate.state import State
from streams.spread.providers import OTHER


class _Row(msgspec.Struct, frozen=True, array_like=True):
    send: bytes


class _Provider(msgspec.Struct, frozen=True):
    provider: str


_row = msgspec.msgpack.Decoder(_Row).decode
_provider = msgspec.json.Decoder(_Provider).decode


class OldRows:
    """The keys of the older layout that are left."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._keys: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: bytes) -> None:
        """One was found."""
        self._keys.append(key)

    def take(self, limit: int) -> Iterator[tuple[bytes, bytes, str]]:
        """(key, row, provider) of at most `limit` of them; each is deleted."""
        for _ in range(min(limit, len(self._keys))):
            key = self._keys.popleft()
            value = self._state.get(key)
            if value is not None:
                self._state.delete(key)
                yield key, value, _provider_of(value)


def _provider_of(value: bytes) -> str:
    try:
        return _provider(_row(value).send).provider or OTHER
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return OTHER  # whoever releases it finds that it is damaged, and says so
