"""Evidence of a run as gates without a flaw leave it, dealt by the product's own dealer over the bench's IPs."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from streams.operate.bench.spread import scene
from streams.operate.bench.spread.evidence import Deal, Evidence, Group, Track
from streams.spread.dealing import Dealer, Weights

GMAIL: Group = (0, scene.POOL, "gmail")
RARE: Group = (1, scene.POOL, "nifty")


def weights_of(phase: int) -> Weights:
    """The weights of a declaration, as the dealer takes them."""
    return tuple(sorted(scene.phases()[phase].items()))


def dealt(group: Group, stages: Sequence[tuple[int, int]]) -> list[Deal]:
    """So many deals under each declaration, as (phase, number); a deal takes a second, a phase hours."""
    dealer = Dealer(f"{group}", weights_of(0))
    deals: list[Deal] = []
    for phase, number in stages:
        weights = weights_of(phase)
        for _ in range(number):
            slot = dealer.deal(weights)
            deals.append(Deal(len(deals) + 1, slot, dealer.version, 10_000.0 * phase + len(deals)))
    return deals


def evidence(groups: dict[Group, list[Deal]]) -> Evidence:
    """These deals, each of an event of its own."""
    count = sum(map(len, groups.values()))
    return Evidence(
        tracks={group: track(deals) for group, deals in groups.items()},
        sources={("recipients.marketing", 0): array("q", range(count))},
        misplaced=0,
        undealt=0,
        outcomes=Counter(),
    )


def track(deals: Iterable[Deal]) -> Track:
    """Of these, as they come."""
    made = Track()
    for deal in deals:
        made.add(deal)
    return made


def flawless() -> Evidence:
    """Two groups: one sees each declaration, the other the last alone."""
    return evidence({GMAIL: dealt(GMAIL, [(0, 1300), (1, 1200), (2, 1100)]), RARE: dealt(RARE, [(2, 40)])})
