"""Earliest-deadline dealing: every sending IP within two sends of its weighted share, in any window.

Tijdeman's chairman assignment problem (1980).  With shares w summing to one, slot i's fluid allotment after t deals
is a(t) = lag + w·t.  Its k-th send (from 0) may be dealt once a(t+1) > k, and must be by the time a(t) >= k+1.

1. Slots whose next send may not be dealt yet wait in a heap by release; the others in a heap by deadline.
2. A deal moves what is released, takes the earliest deadline, and files the slot's next send.
3. Each slot's count then differs from its allotment by less than one, so any window differs from its share by less
   than two.  That holds from lags in (-1, 1) that sum to zero and let every deadline be met: by any deal t, at most
   t sends are due.  A hash picks them, so that rare providers don't all start with the same IP.
4. New weights keep the lags.  Where slots come or go, lags shrink until they sum to zero again, and where too much
   would be due at once, until every deadline can be met: by less than one each in all, which is what a change of
   weights adds to a window.

All numbers are integers in units of 1/total, so that a restart continues exactly.  O(log N) a deal.
"""

import hashlib
import heapq
from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import msgspec

Weights = tuple[tuple[int, float], ...]

# A weight is kept as an integer part of the greatest one.  2^-40: after 10^9 deals the rounding is 0.001 of a send.
WEIGHT_SCALE = 1 << 40
# Deadlines looked at, a slot, before lags count as too far apart.  Past one round nearly all that lag behind are even.
LOOK_AHEAD = 4
# Counts are folded into the lags after so many deals, which keeps every number far below 2^63.
FOLD_EVERY = 1 << 16


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    """A dealer at rest: its lags in units of one share's total, and how many deals it has made."""

    seed: str
    weights: Weights
    lags: list[int]
    turns: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Saved).decode


def weights_version(weights: Weights) -> int:
    """Name these slots and weights: 32 bits, never 0 (a send that was not dealt here carries 0)."""
    digest = hashlib.blake2b(repr(weights).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") or 1


def balanced(lags: Sequence[int]) -> list[int]:
    """Shrink the lags of the sign in excess until all sum to zero; none grows, none changes sign."""
    ahead = sum(lag for lag in lags if lag > 0)
    behind = -sum(lag for lag in lags if lag < 0)
    if ahead < behind:
        return [-lag for lag in balanced([-lag for lag in lags])]
    if ahead == behind:
        return list(lags)
    shrunk = [lag * behind // ahead if lag > 0 else lag for lag in lags]
    missing = -sum(shrunk)  # what rounding down took: less than one unit for each positive lag
    for index, lag in enumerate(lags):
        if missing and lag > 0:
            shrunk[index] += 1
            missing -= 1
    return shrunk


def punctual(lags: Sequence[int], shares: Sequence[int], total: int) -> list[int]:
    """Halve the lags until every deadline can be met from them; they still sum to zero, and none grows.

    A slot ahead of its allotment takes nothing off what the others are due, so many that lag can be due at once.
    """
    found = list(lags)
    while not _meetable(found, shares, total):
        found = balanced([lag // 2 if lag > 0 else -(-lag // 2) for lag in found])
    return found


def _meetable(lags: Sequence[int], shares: Sequence[int], total: int) -> bool:
    """Whether the j-th deadline, in their order, leaves room for j deals.  May say no where it would take long to see.

    Once what is ahead sums to less than one send, no deadline can be missed any more: sends due by deal t are whole,
    and fewer than t + 1.
    """
    ahead = [(lag, share) for lag, share in zip(lags, shares, strict=True) if lag < 0]

    def settled(deals: int) -> bool:
        return sum(min(0, lag + share * deals) for lag, share in ahead) > -total

    deadlines = [
        (-((lag - total) // share), index) for index, (lag, share) in enumerate(zip(lags, shares, strict=True))
    ]
    heapq.heapify(deadlines)
    sends = [1] * len(lags)
    for number in range(1, LOOK_AHEAD * len(lags) + 1):
        deadline, index = deadlines[0]
        if number % len(lags) == 1 % len(lags) and settled(deadline):
            return True
        if deadline < number:
            return False
        sends[index] += 1
        heapq.heapreplace(deadlines, (-((lags[index] - sends[index] * total) // shares[index]), index))
    return settled(deadlines[0][0])


class Dealer:
    """Deals the mail of one pool to one provider over the pool's slots."""

    def __init__(self, seed: str, weights: Weights, lags: Sequence[int] | None = None) -> None:
        """`seed` fixes the phase and the order of ties; `lags` continue an earlier dealer's, slot by slot."""
        _check(weights)
        self._seed = seed
        self._turns_before = 0  # deals before the last fold
        self._start(weights, lags)

    def _start(self, weights: Weights, lags: Sequence[int] | None) -> None:
        self._weights = weights
        self.version = weights_version(weights)
        hashes = [hashlib.blake2b(f"{self._seed}/{slot}".encode(), digest_size=16).digest() for slot, _ in weights]
        shares = _scaled(weights)
        self._total = sum(shares)
        if lags is None:
            phases = [int.from_bytes(one[:8], "big") for one in hashes]
            lags = punctual(
                balanced([(2 * phase * self._total >> 64) - self._total for phase in phases]), shares, self._total
            )
        # Everything below stands in the order that breaks ties.
        self._order = sorted(range(len(weights)), key=hashes.__getitem__)
        self._slots = [weights[index][0] for index in self._order]
        self._shares = [shares[index] for index in self._order]
        self._lags = [lags[index] for index in self._order]
        self._fold()

    def _fold(self, counts: Sequence[int] = (), deals: int = 0) -> None:
        """Count from zero again, with what was dealt kept in the lags."""
        total = self._total
        if deals:
            self._turns_before += deals
            moved = zip(self._lags, self._shares, counts, strict=True)
            self._lags = [lag + share * deals - count * total for lag, share, count in moved]
        self._deals = 0
        self._counts = [0] * len(self._slots)
        self._upcoming: list[tuple[int, int]] = []
        self._eligible: list[tuple[int, int]] = []
        for index in range(len(self._slots)):
            self._file(index)

    def _file(self, index: int) -> None:
        """Put the slot's next send where it waits for its release."""
        release = (self._counts[index] * self._total - self._lags[index]) // self._shares[index]
        heapq.heappush(self._upcoming, (release, index))

    @property
    def turns(self) -> int:
        """How many deals were made, ever: under all weights, before and after restarts."""
        return self._turns_before + self._deals

    def deal(self, weights: Weights) -> int:
        """The slot of the next send, among `weights`: (slot, weight) pairs, by slot, each weight above zero."""
        if weights is not self._weights:
            if weights != self._weights:
                self._reweigh(weights)
            self._weights = weights  # the same object next time: no comparison
        now = self._deals
        upcoming, eligible = self._upcoming, self._eligible
        while upcoming and upcoming[0][0] <= now:
            index = heapq.heappop(upcoming)[1]
            left = (self._counts[index] + 1) * self._total - self._lags[index]
            heapq.heappush(eligible, (-(-left // self._shares[index]), index))
        index = heapq.heappop(eligible)[1]
        self._counts[index] += 1
        self._deals += 1
        self._file(index)
        if self._deals == FOLD_EVERY:
            self._fold(self._counts, self._deals)
        return self._slots[index]

    def skip(self, deals: int) -> None:
        """Deal so many times under the present weights, for nobody: catch up with what is known to be dealt."""
        for _ in range(deals):
            self.deal(self._weights)

    def _reweigh(self, weights: Weights) -> None:
        _check(weights)
        before = self._lags_by_slot()
        shares = _scaled(weights)
        old_total, new_total = self._total, sum(shares)
        carried = [before.get(slot, 0) * new_total // old_total for slot, _ in weights]
        self._start(weights, punctual(balanced(carried), shares, new_total))

    def _lags_by_slot(self) -> dict[int, int]:
        self._fold(self._counts, self._deals)
        return dict(zip(self._slots, self._lags, strict=True))

    def to_bytes(self) -> bytes:
        """All that is needed to continue exactly."""
        lags = self._lags_by_slot()
        return _encode(_Saved(self._seed, self._weights, [lags[slot] for slot, _ in self._weights], self.turns))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Continue where `to_bytes` stood.  Raises msgspec.MsgspecError when the bytes are no dealer's."""
        saved = _decode(data)
        dealer = cls(saved.seed, saved.weights, saved.lags)
        dealer._turns_before = saved.turns
        return dealer


def _scaled(weights: Weights) -> list[int]:
    greatest = max(weight for _, weight in weights)
    return [max(1, round(weight / greatest * WEIGHT_SCALE)) for _, weight in weights]


def _check(weights: Weights) -> None:
    if not weights:
        raise ValueError("a dealer needs at least one slot; the pool has none that takes mail")
    if any(weight <= 0 for _, weight in weights):
        raise ValueError(f"each weight must be above 0, got {weights}")
    if any(one[0] >= two[0] for one, two in pairwise(weights)):
        raise ValueError(f"slots must be given once each, in ascending order, got {[slot for slot, _ in weights]}")
