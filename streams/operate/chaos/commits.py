"""A group's offsets, all the while, against where the effects below them stand.  Pure; each fault is a line.

Two witnesses: the coordinator's answers (`samples`), which say what a successor would have started from, and the
broker's log of commits, which says what was committed, in order.  A coordinator that was killed answers old offsets
for seconds while it reads its log in (docs/adr/0009): so whether a commit went back is asked of the log alone, where
each step down is a fault, and how often the coordinator told less than before is a figure.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

import msgspec

from streams.operate.chaos.sampler import Sample
from streams.runtime.commit_log import Commit
from streams.runtime.observer import Place

# Seconds until a reader must see what a committed offset stands for: a transaction's markers are written at once when
# its broker lives; a broker that comes back writes them within DESIGN.md's bound for readers.
SHOWN_S: Final = 6.0
# While the broker is away nobody can look: then the look after so many answered samples counts.
SHOWN_SAMPLES: Final = 6


class Offsets(msgspec.Struct, frozen=True, kw_only=True):
    """A group's offsets: at the end, and all the while.  Places by the topics' declared names."""

    committed: Mapping[Place, int]
    ends: Mapping[Place, int]
    samples: tuple[Sample, ...]
    log: tuple[Commit, ...]


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with them."""

    ahead: list[str]  # committed, and an effect below was not yet written
    late: list[str]  # written, and not shown to readers in time
    back: list[str]  # lower than the commit before
    untold: list[str]  # the log does not end with what the coordinator says at the end
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
    for at, sample in enumerate(offsets.samples):
        shown = _shown(offsets.samples, at)
        for (topic, partition), committed in sample.committed.items():
            needed = reach.needed((topic, partition), committed)
            if needed >= sample.high.get((output, partition), 0):
                ahead.append(f"{topic}[{partition}] committed {committed}, an effect below it was not yet written")
            elif shown is not None and needed >= shown.stable.get((output, partition), 0):
                late.append(f"{topic}[{partition}] committed {committed}, not shown {SHOWN_S:.0f} s later")
    back, last = _in_the_log(offsets.log)
    untold = (place for place, told in offsets.committed.items() if last.get(place, 0) != told)
    short = (place for place, end in offsets.ends.items() if offsets.committed.get(place, 0) != end)
    return Faults(ahead=ahead, late=late, back=back, untold=_named(untold), short=_named(short))


def stale_answers(offsets: Offsets) -> int:
    """How often the coordinator told less of a partition than in the sample before."""
    return sum(
        told < before.committed.get(place, 0)
        for before, after in pairwise(offsets.samples)
        for place, told in after.committed.items()
    )


def _in_the_log(log: Sequence[Commit]) -> tuple[list[str], dict[Place, int]]:
    """Each commit that is below the one before it, and each place's last."""
    back: list[str] = []
    last: dict[Place, int] = {}
    for commit in log:
        before, now = last.get(commit.place, 0), commit.offset or 0
        if now < before:
            topic, partition = commit.place
            back.append(f"{topic}[{partition}] {before} to {now}")
        last[commit.place] = now
    return back, last


def _named(places: Iterable[Place]) -> list[str]:
    return [f"{topic}[{partition}]" for topic, partition in sorted(places)]


def _shown(samples: Sequence[Sample], at: int) -> Sample | None:
    """The sample by which readers must see what this one's commits stand for; None where the run ended before."""
    for later in range(at + SHOWN_SAMPLES, len(samples)):
        if samples[later].at >= samples[at].at + SHOWN_S:
            return samples[later]
    return None
