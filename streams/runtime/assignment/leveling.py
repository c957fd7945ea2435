"""Numbered things dealt to members: as even as who may have what allows, then with as few moves as that allows.  Pure.

1. What a member held and may have, it keeps; the rest goes to whoever has least.
2. While one member has two more than another that may have one of its things, one moves: enough for most cases.
3. What remains is put right by chains (a gives to b, b gives to c), until none makes the deal better.  A deal is a flow
   from things to members, the square of a member's load its cost; a chain that helps is a negative cycle in the
   residual graph, and where there is none, the flow is a cheapest one (Klein 1967).
"""

from collections.abc import Mapping, Sequence
from typing import Final

# Evenness comes first: no number of moves (one a thing, and no topic here has more than 1,000 partitions) outweighs one
# step towards even.
_UNEVEN: Final = 10_000

# From member to member: what the cheapest move costs, and the thing that moves (None at the graph's own node).
_Edges = Mapping[tuple[int, int], tuple[int, int | None]]


class Deal:
    """Things being dealt to members, named by their indexes, that may have others already (`loads`).

    `allowed` and `holders` tell of each thing who may have it, and who had it.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        allowed: Sequence[Sequence[int]],
        holders: Sequence[int | None],
        loads: Sequence[int],
    ) -> None:
        self._numbers = numbers
        self._allowed = allowed
        self._holders = holders
        self.loads = list(loads)
        self.at: dict[int, int] = {}

    def begin(self) -> None:
        """What was held stays; the rest goes to whoever has least."""
        for number in self._numbers:
            holder = self._holders[number]
            if holder is not None and holder in self._allowed[number]:
                self._put(number, holder)
        for number in self._numbers:
            if number not in self.at:
                self._put(number, min(self._allowed[number], key=lambda at: (self.loads[at], at)))

    def level(self) -> None:
        """Single moves from who has most to who has least, while they help."""
        while (step := self._single_step()) is not None:
            self._move(*step)

    def perfect(self) -> None:
        """Chains of moves, until none makes the plan better."""
        while chain := self._chain():
            for number, to in chain:
                self._move(number, to)

    def _put(self, number: int, at: int) -> None:
        self.at[number] = at
        self.loads[at] += 1

    def _move(self, number: int, to: int) -> None:
        self.loads[self.at[number]] -= 1
        self._put(number, to)

    def _single_step(self) -> tuple[int, int] | None:
        by_load = sorted(range(len(self.loads)), key=lambda at: (self.loads[at], at))
        theirs = self._numbers_by_member()
        for giver in reversed(by_load):
            for taker in by_load:
                if self.loads[giver] < self.loads[taker] + 2:
                    break
                may = [number for number in theirs[giver] if taker in self._allowed[number]]
                if may:
                    return min(may, key=lambda number: self._worth_keeping(number, taker)), taker
        return None

    def _worth_keeping(self, number: int, taker: int) -> tuple[int, bool, int]:
        """What its member loses by giving this one up; of equals every n-th goes, not a block of neighbours.

        Deployments use slots from 0 on, so that a block would be all of the work or none of it.
        """
        return self._moves(number, taker), number % len(self.loads) != taker, number

    def _numbers_by_member(self) -> list[list[int]]:
        theirs: list[list[int]] = [[] for _ in self.loads]
        for number, at in self.at.items():
            theirs[at].append(number)
        return theirs

    def _moves(self, number: int, to: int) -> int:
        """How many more partitions are away from their holder when this one goes there: -1, 0 or 1."""
        holder = self._holders[number]
        return int(self.at[number] == holder) - int(to == holder)

    def _edges(self) -> _Edges:
        """The residual graph.  Its last node stands for "one more" and "one less"."""
        end = len(self.loads)
        edges: dict[tuple[int, int], tuple[int, int | None]] = {}
        for number, giver in self.at.items():
            for taker in self._allowed[number]:
                cost = self._moves(number, taker)
                if taker != giver and ((giver, taker) not in edges or cost < edges[giver, taker][0]):
                    edges[giver, taker] = cost, number
        for at, load in enumerate(self.loads):
            edges[end, at] = -_UNEVEN * (2 * load - 1), None  # the square of its load falls by so much
            edges[at, end] = _UNEVEN * (2 * load + 1), None  # and rises by so much
        return edges

    def _chain(self) -> list[tuple[int, int]]:
        """Moves (thing, to) that make the deal better, if any: a negative cycle, by Bellman and Ford."""
        edges = self._edges()
        nodes = len(self.loads) + 1
        cost = [0] * nodes
        before = [0] * nodes
        changed: int | None = None
        for _ in range(nodes):
            changed = None
            for (start, end), (price, _number) in edges.items():
                if cost[start] + price < cost[end]:
                    cost[end] = cost[start] + price
                    before[end] = start
                    changed = end
            if changed is None:
                return []
        assert changed is not None  # noqa: S101  # there is at least one node
        return _cycle(before, changed, edges)


def _cycle(before: Sequence[int], node: int, edges: _Edges) -> list[tuple[int, int]]:
    """The moves on the cycle that lies behind a node which still got cheaper in the last round."""
    for _ in before:
        node = before[node]
    moves: list[tuple[int, int]] = []
    at = node
    while True:
        number = edges[before[at], at][1]
        if number is not None:
            moves.append((number, at))
        at = before[at]
        if at == node:
            return moves
