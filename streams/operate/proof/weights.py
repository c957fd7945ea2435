"""Which weights a version of them names, found from what was declared and what may happen to an IP on the way.

A send names its weights by a hash (`streams.spread.dealing.weights_version`).  IPs that are held, blocked or drained
are left out, those that a provider throttles have a half of their weight, a quarter, and so on: so all that a run's
weights can be is known beforehand, and each version is one of them or a fault.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, islice, product
from typing import Final

from streams.spread.dealing import weights_version

# What a throttled IP may have of its weight.
FACTORS: Final = (1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64)
# Tried at most, some seconds: of 8 IPs all with up to three throttled, and any of the others left out.
_TRIED: Final = 500_000

Weights = Mapping[int, float]


def named(versions: Iterable[int], declared: Weights) -> dict[int, Weights]:
    """The weights that each version names; one that nothing explains is missing."""
    missing = set(versions)
    found: dict[int, Weights] = {}
    for weights in islice(_possible(declared), _TRIED):
        if not missing:
            break
        version = weights_version(tuple(weights.items()))
        if version in missing:
            missing.remove(version)
            found[version] = weights
    return found


def _possible(declared: Weights) -> Iterator[Weights]:
    """As declared first, then with ever more IPs that are not: few are throttled at a time, any may be left out."""
    slots = sorted(declared)
    for throttled in range(len(slots) + 1):
        for left_out in range(len(slots) + 1 - throttled):
            for lowered in combinations(slots, throttled):
                others = [slot for slot in slots if slot not in lowered]
                for gone in combinations(others, left_out):
                    for factors in product(FACTORS, repeat=throttled):
                        part = dict(zip(lowered, factors, strict=True))
                        weights = {slot: declared[slot] * part.get(slot, 1.0) for slot in slots if slot not in gone}
                        if weights:
                            yield weights
