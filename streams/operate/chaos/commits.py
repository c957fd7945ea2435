"""A group's offsets, as the broker told them all the while, against where the effects below them stand.  Pure.

Each fault is a line that says where.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

import msgspec

from streams.operate.chaos.sampler import Sample
from streams.runtime.observer import Place

# Seconds until a reader must see what a committed offset stands for: a transaction's markers are written at once when
# its broker lives; a broker that comes back writes them within DESIGN.md's bound for readers.
SHOWN_S: Final = 6.0
# While the broker is away nobody can look: then the look after so many answered samples counts.
SHOWN_SAMPLES: Final = 6
# Seconds for which a broker that was killed may answer offsets from before: it reads them in while it answers
# (docs/adr/0009).  What is below the highest for longer was set back.
STALE_S: Final = 10.0


class Offsets(msgspec.Struct, frozen=True, kw_only=True):
    """A group's offsets: at the end, and all the while.  Places by the topics' declared names."""

    committed: Mapping[Place, int]
    ends: Mapping[Place, int]
    samples: tuple[Sample, ...]


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with them."""

    ahead: list[str]  # committed, and an effect below was not yet written
    late: list[str]  # written, and not shown to readers in time
    back: list[str]  # lower than before
    short: list[str]  # not at the source's end, at the end


class Reach:
    """How far on its output the effects of a source partition's first events stand."""

    def __init__(self, pairs: Iterable[tuple[Place, int, int]]) -> None:
        """`pairs`: a source partition, an event's offset there, and its effect's on the output."""
        places: dict[Place, list[tuple[int, int]]] = defaultdict(list)
        for place, source, output in pairs:
            places[place].append((source, output))
        ordered = {place: sorted(there) for place, there in places.items()}
        self._offsets = {place: [source for source, _ in there] for place, there in ordered.items()}
        self._highest = {
            place: list(accumulate((output for _, output in there), max)) for place, there in ordered.items()
        }

    def needed(self, place: Place, committed: int) -> int:
        """The highest output offset of the effects of events below `committed`; -1 where there is none."""
        below = bisect_left(self._offsets.get(place, []), committed)
        return self._highest[place][below - 1] if below else -1


def faults(offsets: Offsets, reach: Reach, output: str) -> Faults:
    """Go through the samples; `output` is the topic, as wide as the sources, that the effects are on."""
    ahead: list[str] = []
    late: list[str] = []
    back: list[str] = []
    highest: dict[Place, int] = {}
    below: dict[Place, float] = {}
    for at, sample in enumerate(offsets.samples):
        shown = _shown(offsets.samples, at)
        for (topic, partition), committed in sample.committed.items():
            before = highest.get((topic, partition), 0)
            if committed >= before:
                highest[topic, partition] = committed
                below.pop((topic, partition), None)
            elif sample.at - below.setdefault((topic, partition), sample.at) > STALE_S:
                back.append(f"{topic}[{partition}] {before} to {committed}")
                highest[topic, partition] = committed
            needed = reach.needed((topic, partition), committed)
            if needed >= sample.high.get((output, partition), 0):
                ahead.append(f"{topic}[{partition}] committed {committed}, an effect below it was not yet written")
            elif shown is not None and needed >= shown.stable.get((output, partition), 0):
                late.append(f"{topic}[{partition}] committed {committed}, not shown {SHOWN_S:.0f} s later")
    short = sorted(place for place, end in offsets.ends.items() if offsets.committed.get(place, 0) != end)
    return Faults(ahead=ahead, late=late, back=back, short=[f"{topic}[{partition}]" for topic, partition in short])


def _shown(samples: Sequence[Sample], at: int) -> Sample | None:
    """The sample by which readers must see what this one's commits stand for; None where the run ended before."""
    for later in range(at + SHOWN_SAMPLES, len(samples)):
        if samples[later].at >= samples[at].at + SHOWN_S:
            return samples[later]
    return None
