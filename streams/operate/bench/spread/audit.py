"""Hold what was dealt against what was declared.  Pure, and it knows no dealer.

1. Versions of weights are put in the order in which they first came, and must be as many as there were declarations:
   the first stands for the first, and so on.  In no group may a later declaration come before an earlier one.
2. Between two changes no window may stray from the weighted shares by more than two sends, whatever its length; the
   windows of 1,000 and of 10,000 are looked at for themselves.
3. Over changes, each of them adds at most one.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Final

import msgspec

from streams.operate.bench.spread.evidence import Deal, Evidence, Group
from streams.operate.bench.spread.scene import Shares
from streams.spread.check import WINDOW_BOUND, Segment, window_deviations, worst_of_length

LENGTHS: Final = (1_000, 10_000)
# The audit adds shares as floats, the dealer counts in integers.
NOISE: Final = 1e-6

Sequences = Mapping[Group, Sequence[Segment]]


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """The windows of one length: how many there were between changes, and the worst."""

    count: int
    worst: float


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """The deals of each group in their order, under the weights that were declared; and what speaks against it."""

    sequences: dict[Group, list[Segment]]
    versions: int
    faults: tuple[str, ...]


class Evenness(msgspec.Struct, frozen=True, kw_only=True):
    """How even it was: the worst of all groups, in sends.

    `between`: any window between two changes; `over` any window at all, and `beyond` counts the groups in which that is
    more than two and one for each change that the group saw.
    """

    between: float
    over: float
    beyond: int
    of_length: dict[int, Windows]
    by_provider: dict[str, float]


def ordered(evidence: Evidence, phases: Sequence[Shares]) -> Ordered:
    """Put the deals in their order, and their declarations to them."""
    faults: list[str] = []
    deals = {group: track.deals() for group, track in sorted(evidence.tracks.items())}
    first_at: dict[int, float] = {}
    for found in deals.values():
        for deal in found:
            first_at[deal.version] = min(first_at.get(deal.version, deal.at), deal.at)
    in_order = sorted(first_at, key=first_at.__getitem__)
    phase_of = {version: min(at, len(phases) - 1) for at, version in enumerate(in_order)}
    sequences: dict[Group, list[Segment]] = {}
    for group, found in deals.items():
        faults += [f"{_named(group)}: {fault}" for fault in _turn_faults(found)]
        segments = sequences[group] = []
        before = -1
        for version, run in groupby(found, key=lambda deal: deal.version):
            phase = phase_of[version]
            if phase <= before:
                faults.append(f"{_named(group)}: weights of declaration {phase + 1} after those of {before + 1}")
            before = phase
            segments.append(Segment([deal.slot for deal in run], phases[phase]))
    return Ordered(sequences=sequences, versions=len(in_order), faults=tuple(faults))


def _turn_faults(deals: Sequence[Deal]) -> list[str]:
    """Where the count of the deals is no count."""
    wrong = [one.turn for at, one in enumerate(deals, 1) if one.turn != at]
    if wrong:
        return [f"turns are not 1 to {len(deals)}, from {wrong[0]} on"]
    back = sum(later.at < earlier.at for earlier, later in pairwise(deals))
    return [f"{back} deals are older than the one before"] if back else []


def evenness(sequences: Sequences) -> Evenness:
    """Of any sequences, dealt by whomever."""
    between = over = 0.0
    beyond = 0
    counts: Counter[int] = Counter()
    worst: dict[int, float] = dict.fromkeys(LENGTHS, 0.0)
    by_provider: dict[str, float] = {}
    for (_, _, provider), segments in sequences.items():
        for segment in segments:
            found = max(window_deviations([segment]).values())
            between = max(between, found)
            by_provider[provider] = max(by_provider.get(provider, 0.0), found)
            for length in LENGTHS:
                strays = worst_of_length(segment, length)
                if strays is not None:
                    counts[length] += len(segment.slots) - length + 1
                    worst[length] = max(worst[length], strays)
        across = max(window_deviations(segments).values())
        over = max(over, across)
        beyond += across > WINDOW_BOUND + len(segments) - 1 + NOISE
    lengths = {length: Windows(count=counts[length], worst=worst[length]) for length in LENGTHS}
    return Evenness(between=between, over=over, beyond=beyond, of_length=lengths, by_provider=by_provider)


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One IP's of all groups together: what it was dealt, and its share."""

    dealt: int
    share: float


def totals(sequences: Sequences) -> dict[int, Total]:
    """By slot.  No bound is promised for them: each sequence is even for itself."""
    dealt: Counter[int] = Counter()
    shares: defaultdict[int, float] = defaultdict(float)
    for segments in sequences.values():
        for segment in segments:
            dealt.update(segment.slots)
            for slot, share in segment.shares.items():
                shares[slot] += share * len(segment.slots)
    return {slot: Total(dealt=dealt[slot], share=shares[slot]) for slot in sorted(dealt.keys() | shares.keys())}


def _named(group: Group) -> str:
    partition, pool, provider = group
    return f"partition {partition} {pool}/{provider}"
