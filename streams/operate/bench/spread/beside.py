"""What the audit is worth: the same mail dealt in two ways that are wrong, which it must refuse.  Pure.

Both get the very sequences of the run: as many deals under the same weights.  `at_random` draws each IP by its weight,
as many senders do it.  `forgetful` is our own dealer, but at each restart it begins again from its seed, as one does
whose counters are not in the transaction.
"""

import random
from collections.abc import Sequence
from typing import Final

from streams.operate.bench.spread.audit import Sequences
from streams.operate.bench.spread.evidence import Group
from streams.spread.check import Segment
from streams.spread.dealing import Dealer

# The same draw each time.
_SEED: Final = 0

Dealt = dict[Group, list[Segment]]


def at_random(sequences: Sequences) -> Dealt:
    """IPs drawn by their weights."""
    chance = random.Random(_SEED)  # noqa: S311  # a comparison, no secret
    return {
        group: [
            Segment(
                chance.choices(list(one.weights), weights=list(one.weights.values()), k=len(one.slots)), one.weights
            )
            for one in segments
        ]
        for group, segments in sequences.items()
    }


def forgetful(sequences: Sequences, *, restarts: int) -> Dealt:
    """Our dealer, which forgets what it dealt at so many restarts, evenly over each sequence."""
    return {group: _forgetful(f"{group}", segments, restarts=restarts) for group, segments in sequences.items()}


def _forgetful(seed: str, segments: Sequence[Segment], *, restarts: int) -> list[Segment]:
    total = sum(len(one.slots) for one in segments)
    ends = {total * number // (restarts + 1) for number in range(1, restarts + 1)}
    dealt, turn = [], 0
    dealer: Dealer | None = None
    for one in segments:
        weights = tuple(sorted(one.weights.items()))
        slots = []
        for _ in one.slots:
            if dealer is None or turn in ends:
                dealer = Dealer(seed, weights)
            slots.append(dealer.deal(weights))
            turn += 1
        dealt.append(Segment(slots, one.weights))
    return dealt
