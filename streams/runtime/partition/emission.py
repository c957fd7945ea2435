"""A record that a decision causes, as a decider without records of its own hands it to its loop."""

from collections.abc import Mapping

import msgspec


class Emission(msgspec.Struct, frozen=True, kw_only=True):
    """Its topic by the declared name; `partition` None: by murmur2 of the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Mapping[str, bytes] = {}
