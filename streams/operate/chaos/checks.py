"""The evidence against what must be, computed from the inputs alone.  Pure.

Each value is a number of faults with limit 0; a note names the first events that differ.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

import msgspec

from streams.operate.chaos import events
from streams.operate.chaos.evidence import Evidence, Found, Offsets, PlainFound, Source
from streams.operate.chaos.rounds import Struck
from streams.operate.chaos.sampler import Sample
from streams.operate.checks import Check, check
from streams.runtime.observer import Place

# Differences that a note names.
_NAMED: Final = 5
# Seconds until a reader must see what a committed offset stands for: a transaction's markers are written at once when
# its broker lives; a broker that comes back writes them within DESIGN.md's bound for readers.
SHOWN_S: Final = 6.0
# While the broker is away nobody can look: then the look after so many answered samples counts.
SHOWN_SAMPLES: Final = 6
# Seconds for which a broker that was killed may answer offsets from before: it reads them in while it answers
# (docs/adr/0009).  What is below the highest for longer was set back.
STALE_S: Final = 10.0


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What the inputs must come to: each event's entry after it, and the table at the end."""

    entries: Mapping[Source, bytes]
    table: Mapping[bytes, bytes]


def model(evidence: Evidence) -> Model:
    """Go through each source partition in the order of its offsets."""
    table: dict[bytes, bytes] = {}
    entries: dict[Source, bytes] = {}
    for source in sorted(evidence.asked):
        asked = evidence.asked[source]
        key = events.person_key(source[0], asked.key.encode())
        count, chain = events.parsed(table.get(key))
        entries[source] = table[key] = events.entry(count + 1, events.linked(chain, asked.number))
    return Model(entries=entries, table=table)


def of_evidence(evidence: Evidence, *, planned: int) -> list[Check]:
    """Effects, table and commits."""
    wanted = model(evidence)
    return [
        _asked(evidence, planned),
        *_effects(evidence, wanted),
        _table(evidence, wanted),
        *_commits(evidence),
        *_plain(evidence),
    ]


def of_run(struck: Iterable[Struck], *, unasked: Sequence[str], left: int, started: int) -> list[Check]:
    """The rounds were done, nothing ended unasked, and nothing is left running."""
    missed = [f"round {one.number} {one.kind}: {one.missed}" for one in struck if one.missed]
    return [
        check("rounds not done", len(missed), 0, named(missed) or "all as planned"),
        check("workers that ended unasked", len(unasked), 0, named(unasked) or "none"),
        check("processes left", left, 0, f"{started:,} ran"),
    ]


def named(differences: Iterable[object]) -> str:
    """The first of them, and how many there are more."""
    all_of_them = [str(one) for one in differences]
    more = len(all_of_them) - _NAMED
    return "; ".join(all_of_them[:_NAMED]) + (f"; and {more:,} more" if more > 0 else "")


def _place(source: Source) -> str:
    topic, partition, offset = source
    return f"{topic}[{partition}]@{offset}"


def _asked(evidence: Evidence, planned: int) -> Check:
    there = {asked.number for asked in evidence.asked.values()}
    lost = set(range(1, planned + 1)) ^ there
    note = f"{planned:,} planned, {len(evidence.asked):,} records in Kafka"
    return check("events in Kafka as planned", len(lost), 0, note)


def _effects(evidence: Evidence, wanted: Model) -> Iterable[Check]:
    """Each event's effects, by Kafka's own coordinates."""
    seen = Counter(found.source for found in evidence.found)
    lost = sorted(evidence.asked.keys() - seen.keys())
    doubled = sorted(source for source, count in seen.items() if count > 1)
    strange = sorted(seen.keys() - evidence.asked.keys())
    wrong = sorted({found.source for found in evidence.found if not _right(found, wanted)} - set(strange))
    note = f"{len(evidence.asked):,} events, {len(evidence.found):,} effects"
    yield check("events without an effect", len(lost), 0, named(map(_place, lost)) or note)
    yield check("events with several effects", len(doubled), 0, named(map(_place, doubled)) or note)
    yield check("effects of no event", len(strange), 0, named(map(_place, strange)) or note)
    yield check(
        "effects with another entry than the model's", len(wrong), 0, named(map(_place, wrong)) or "count and chain"
    )


def _right(found: Found, wanted: Model) -> bool:
    effect = found.effect
    return wanted.entries.get(found.source) == events.entry(effect.count, effect.chain.encode())


def _table(evidence: Evidence, wanted: Model) -> Check:
    keys = evidence.table.keys() | wanted.table.keys()
    wrong = sorted(key for key in keys if evidence.table.get(key) != wanted.table.get(key))
    note = f"{len(wanted.table):,} entries, from {len(evidence.asked):,} events"
    return check("table entries that differ from the model", len(wrong), 0, named(wrong) or note)


def _commits(evidence: Evidence) -> Iterable[Check]:
    """Each sample's committed offsets against where the effects below them stand."""
    faults = _faults(evidence.offsets, _reach(evidence.found), events.OUTPUT)
    note = f"{len(evidence.offsets.samples):,} samples of {len(evidence.offsets.ends):,} partitions"
    yield check("commits ahead of an unfinished event", len(faults.ahead), 0, named(faults.ahead) or note)
    yield check(
        "effects shown late", len(faults.late), 0, named(faults.late) or f"within {SHOWN_S:.0f} s of the commit"
    )
    yield check("commits that went back", len(faults.back), 0, named(faults.back) or note)
    yield check("partitions not committed to their end", len(faults.short), 0, named(faults.short) or note)


def _plain(evidence: Evidence) -> Iterable[Check]:
    """The plain agents': each event has an effect, before its offset is committed; it may have more."""
    asked, found = evidence.plain_asked, evidence.plain_found
    wrong = sorted({one.source for one in found if one.source not in asked or asked[one.source].number != one.number})
    lost = sorted(asked.keys() - {one.source for one in found})
    faults = _faults(evidence.plain_offsets, _plain_reach(found), events.PLAIN_OUTPUT)
    note = f"{len(asked):,} events, {len(found):,} effects: at least once"
    yield check("plain events without an effect", len(lost), 0, named(map(_place, lost)) or note)
    yield check("plain effects of no event", len(wrong), 0, named(map(_place, wrong)) or note)
    note = f"{len(evidence.plain_offsets.samples):,} samples of {len(evidence.plain_offsets.ends):,} partitions"
    # These outputs belong to no transaction: what is written is shown.
    yield check("plain commits ahead of an effect", len(faults.ahead), 0, named(faults.ahead) or note)
    yield check("plain commits that went back", len(faults.back), 0, named(faults.back) or note)
    yield check("plain partitions not committed to their end", len(faults.short), 0, named(faults.short) or note)


class _Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a group's offsets."""

    ahead: list[str]
    late: list[str]
    back: list[str]
    short: list[str]


def _faults(offsets: Offsets, reach: "_Reach", output: str) -> _Faults:
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
    return _Faults(ahead=ahead, late=late, back=back, short=[f"{topic}[{partition}]" for topic, partition in short])


def _shown(samples: Sequence[Sample], at: int) -> Sample | None:
    """The sample by which readers must see what this one's commits stand for; None where the run ended before."""
    for later in range(at + SHOWN_SAMPLES, len(samples)):
        if samples[later].at >= samples[at].at + SHOWN_S:
            return samples[later]
    return None


class _Reach:
    """How far on its output the effects of a source partition's first events stand."""

    def __init__(self, places: Mapping[Place, list[tuple[int, int]]]) -> None:
        """For each source partition, pairs of an event's offset and its effect's."""
        ordered = {place: sorted(pairs) for place, pairs in places.items()}
        self._offsets = {place: [source for source, _ in pairs] for place, pairs in ordered.items()}
        self._highest = {
            place: list(accumulate((output for _, output in pairs), max)) for place, pairs in ordered.items()
        }

    def needed(self, place: Place, committed: int) -> int:
        """The highest output offset of the effects of events below `committed`; -1 where there is none."""
        below = bisect_left(self._offsets.get(place, []), committed)
        return self._highest[place][below - 1] if below else -1


def _reach(found: Iterable[Found]) -> _Reach:
    """Of those that emit at once: an event that waits in the table is done when it is there."""
    places: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for one in found:
        if not events.waits(one.effect.number):
            places[one.effect.topic, one.effect.partition].append((one.effect.offset, one.offset))
    return _Reach(places)


def _plain_reach(found: Iterable[PlainFound]) -> _Reach:
    """Of each event's first effect."""
    first: dict[Source, int] = {}
    for one in found:
        first[one.source] = min(one.offset, first.get(one.source, one.offset))
    places: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for (topic, partition, offset), output in first.items():
        places[topic, partition].append((offset, output))
    return _Reach(places)
