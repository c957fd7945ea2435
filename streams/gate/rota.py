"""Lines by turns: a tenant's campaigns one after the other, and each campaign's providers one after the other.

Who had the last turn is remembered from one release to the next, so that small releases are as fair as large ones.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from streams.gate.agenda import Line

# Whose last turn is remembered: campaigns come and go, and to forget costs one turn out of order.
_MOST: Final = 10_000


class LastTurns:
    """The last turn of each owner: the campaign of a tenant, the provider of a campaign."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def after_last(self, owner: str, names: list[str]) -> list[str]:
        """The names in the order of their turns: behind whom was served last."""
        last = self._last.get(owner)
        begin = names.index(last) + 1 if last in names else 0
        return names[begin:] + names[:begin]

    def had(self, owner: str, name: str) -> None:
        """A turn was had."""
        if len(self._last) > _MOST:
            self._last.clear()
        self._last[owner] = name


class Rota:
    """The lines of one owner during one release."""

    def __init__(self, owner: str, lines: Iterable[Line], last: LastTurns) -> None:
        self._owner = owner
        self._last = last
        by_campaign: dict[str, dict[str, Line]] = {}
        for line in lines:
            by_campaign.setdefault(line.standing.key, {})[line.provider] = line
        self._campaigns: dict[str, deque[Line]] = {
            key: deque(by_campaign[key][name] for name in last.after_last(key, list(by_campaign[key])))
            for key in last.after_last(owner, list(by_campaign))
        }

    def __iter__(self) -> Iterator[Line]:
        return (line for lines in self._campaigns.values() for line in lines)

    def __len__(self) -> int:
        return sum(map(len, self._campaigns.values()))

    def pick(self, may: Callable[[Line], bool]) -> Line | None:
        """The line whose turn it is, among those that may."""
        return next((line for line in self if may(line)), None)

    def served(self, line: Line) -> None:
        """The line had a turn: it comes last of its campaign, and that last of all."""
        key = line.standing.key
        lines = self._campaigns.pop(key)
        lines.remove(line)
        lines.append(line)
        self._campaigns[key] = lines
        self._last.had(key, line.provider)
        self._last.had(self._owner, key)

    def drop(self, line: Line) -> None:
        """The line has nothing more that may go."""
        lines = self._campaigns[line.standing.key]
        lines.remove(line)
        if not lines:
            del self._campaigns[line.standing.key]
