"""Which weights a version of them names, found from what was declared and what may happen to an IP on the way.

A send names its weights by a hash (`streams.spread.dealing.weights_version`).  IPs that are held, blocked or drained
are left out, those that a provider throttles have a half, a quarter or an eighth of their weight: so all that a run's
weights can be is known beforehand, and each version is one of them or a fault.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, islice, product
from typing import Final

from streams.spread.dealing import weights_version

# What an IP may have of its weight; 0 is left out.
FACTORS: Final = (0.0, 0.5, 0.25, 0.125)
# Tried at most: all there are of 8 IPs, some seconds; those with few IPs that are not as declared come first.
_TRIED: Final = 400_000

Weights = Mapping[int, float]


def named(versions: Iterable[int], declared: Weights) -> dict[int, Weights]:
    """The weights that each version names; one that nothing explains is missing."""
    missing = set(versions)
    found: dict[int, Weights] = {}
    for weights in islice(_possible(declared), _TRIED):
        if not missing:
            break
        version = weights_version(tuple(sorted(weights.items())))
        if version in missing:
            missing.remove(version)
            found[version] = weights
    return found


def _possible(declared: Weights) -> Iterator[Weights]:
    """As declared first, then with ever more IPs that are not."""
    for count in range(len(declared) + 1):
        for slots in combinations(declared, count):
            for factors in product(FACTORS, repeat=count):
                weights = dict(declared)
                for slot, factor in zip(slots, factors, strict=True):
                    weights[slot] *= factor
                left = {slot: weight for slot, weight in weights.items() if weight > 0}
                if left:
                    yield left
