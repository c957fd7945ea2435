"""How often something happened at a key within a time: sliding windows by the deliveries' own time, bounded.

A key is watched from its first match on; what is tried there before costs one look-up and is not counted.  Deliveries
of many partitions come out of order by as much as their readers lag: a match is put where its time belongs, and one
that is older than the window of the newest is none.
"""

from bisect import insort
from collections import OrderedDict, deque
from datetime import datetime
from typing import Final

from streams.control.evidence import LAST
from streams.control.rules import Rule
from streams.control.seen import Seen

Key = tuple[object, ...]
# Bounds on memory, some 100 bytes a match: a whole campaign's refusals, or a hundred thousand keys with few each.  The
# key that has been quiet for longest is forgotten first; its rule then fires later, by as much as was forgotten.
MAX_KEYS: Final = 50_000
MAX_MATCHES: Final = 500_000


class Watched:
    """One key: how much was tried there since it is watched, and the latest matches by rule."""

    __slots__ = ("last", "latest", "matches", "tried")

    def __init__(self) -> None:
        self.tried = 0
        self.matches: dict[str, list[tuple[datetime, int]]] = {}
        self.last: dict[str, deque[Seen]] = {}
        self.latest: datetime | None = None

    def match(self, rule: Rule, seen: Seen) -> int:
        """Count a match; by how many the window grew, which is less than none where it lost some."""
        matches = self.matches.setdefault(rule.name, [])
        before = len(matches)
        newest = max(matches[-1][0], seen.at) if matches else seen.at
        if newest - seen.at <= rule.within:
            insort(matches, (seen.at, self.tried))
            self.last.setdefault(rule.name, deque(maxlen=LAST)).append(seen)
        while newest - matches[0][0] > rule.within or len(matches) > rule.count:
            del matches[0]
        self.latest = newest if self.latest is None else max(self.latest, newest)
        return len(matches) - before

    def fires(self, rule: Rule) -> float | None:
        """The share that the counted matches are of all that was tried since the first; None where it does not fire."""
        matches = self.matches.get(rule.name, ())
        if len(matches) < rule.count:
            return None
        since = self.tried - min(number for _, number in matches) + 1
        share = rule.count / max(since, rule.count)
        return share if share >= rule.share else None

    def forget(self, rule: Rule) -> int:
        """Begin to count anew; how many matches that were."""
        self.last.pop(rule.name, None)
        return len(self.matches.pop(rule.name, ()))


class Sliding:
    """All keys of one scope."""

    def __init__(self, *, max_keys: int = MAX_KEYS, max_matches: int = MAX_MATCHES) -> None:
        self._keys: OrderedDict[Key, Watched] = OrderedDict()
        self._matches = 0
        self._max_keys = max_keys
        self._max_matches = max_matches

    def tried(self, key: Key) -> None:
        """Something was tried at the key."""
        watched = self._keys.get(key)
        if watched is not None:
            watched.tried += 1

    def match(self, key: Key, rule: Rule, seen: Seen) -> Watched:
        """Count a match at the key, and forget what is stale or too much."""
        watched = self._keys.get(key)
        if watched is None:
            watched = self._keys[key] = Watched()
            watched.tried += seen.tried
        else:
            self._keys.move_to_end(key)
        self._matches += watched.match(rule, seen)
        while len(self._keys) > self._max_keys or (self._matches > self._max_matches and len(self._keys) > 1):
            self._drop()
        return watched

    def forget(self, watched: Watched, rule: Rule) -> None:
        """The rule has fired at the key: it counts anew."""
        self._matches -= watched.forget(rule)

    def expire(self, before: datetime) -> None:
        """Forget the keys whose latest match is older."""
        while self._keys:
            oldest = next(iter(self._keys.values()))
            if oldest.latest is None or oldest.latest >= before:
                return
            self._drop()

    def _drop(self) -> None:
        _, watched = self._keys.popitem(last=False)
        self._matches -= sum(map(len, watched.matches.values()))

    def __len__(self) -> int:
        """How many matches are held."""
        return self._matches
