"""The evidence against what must be, computed from the inputs alone.  Pure.

Each value is a number of faults with limit 0; a note names the first events that differ.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from streams.operate.chaos.commits import SHOWN_S, Faults, Offsets, Reach, faults
from streams.operate.chaos.runtime import events
from streams.operate.chaos.runtime.evidence import Evidence, Found, PlainFound, Source
from streams.operate.proof.checks import Check, at_most, named


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


def _place(source: Source) -> str:
    topic, partition, offset = source
    return f"{topic}[{partition}]@{offset}"


def _asked(evidence: Evidence, planned: int) -> Check:
    there = {asked.number for asked in evidence.asked.values()}
    lost = set(range(1, planned + 1)) ^ there
    note = f"{planned:,} planned, {len(evidence.asked):,} records in Kafka"
    return at_most("events in Kafka as planned", len(lost), 0, note)


def _effects(evidence: Evidence, wanted: Model) -> Iterable[Check]:
    """Each event's effects, by Kafka's own coordinates."""
    seen = Counter(found.source for found in evidence.found)
    lost = sorted(evidence.asked.keys() - seen.keys())
    doubled = sorted(source for source, count in seen.items() if count > 1)
    strange = sorted(seen.keys() - evidence.asked.keys())
    wrong = sorted({found.source for found in evidence.found if not _right(found, wanted)} - set(strange))
    note = f"{len(evidence.asked):,} events, {len(evidence.found):,} effects"
    yield at_most("events without an effect", len(lost), 0, named(map(_place, lost)) or note)
    yield at_most("events with several effects", len(doubled), 0, named(map(_place, doubled)) or note)
    yield at_most("effects of no event", len(strange), 0, named(map(_place, strange)) or note)
    yield at_most(
        "effects with another entry than the model's", len(wrong), 0, named(map(_place, wrong)) or "count and chain"
    )


def _right(found: Found, wanted: Model) -> bool:
    effect = found.effect
    return wanted.entries.get(found.source) == events.entry(effect.count, effect.chain.encode())


def _table(evidence: Evidence, wanted: Model) -> Check:
    keys = evidence.table.keys() | wanted.table.keys()
    wrong = sorted(key for key in keys if evidence.table.get(key) != wanted.table.get(key))
    note = f"{len(wanted.table):,} entries, from {len(evidence.asked):,} events"
    return at_most("table entries that differ from the model", len(wrong), 0, named(wrong) or note)


def _commits(evidence: Evidence) -> Iterable[Check]:
    """Each sample's committed offsets against where the effects below them stand."""
    wrong = faults(evidence.offsets, _reach(evidence.found), events.OUTPUT)
    note = f"{len(evidence.offsets.samples):,} samples of {len(evidence.offsets.ends):,} partitions"
    yield at_most("commits ahead of an unfinished event", len(wrong.ahead), 0, named(wrong.ahead) or note)
    yield at_most(
        "effects shown late", len(wrong.late), 0, named(wrong.late) or f"within {SHOWN_S:.0f} s of the commit"
    )
    yield from _logged("", evidence.offsets, wrong)
    yield at_most("partitions not committed to their end", len(wrong.short), 0, named(wrong.short) or note)


def _plain(evidence: Evidence) -> Iterable[Check]:
    """The plain agents': each event has an effect, before its offset is committed; it may have more."""
    asked, found = evidence.plain_asked, evidence.plain_found
    strange = sorted({one.source for one in found if one.source not in asked or asked[one.source].number != one.number})
    lost = sorted(asked.keys() - {one.source for one in found})
    wrong = faults(evidence.plain_offsets, _plain_reach(found), events.PLAIN_OUTPUT)
    note = f"{len(asked):,} events, {len(found):,} effects: at least once"
    yield at_most("plain events without an effect", len(lost), 0, named(map(_place, lost)) or note)
    yield at_most("plain effects of no event", len(strange), 0, named(map(_place, strange)) or note)
    note = f"{len(evidence.plain_offsets.samples):,} samples of {len(evidence.plain_offsets.ends):,} partitions"
    # These outputs belong to no transaction: what is written is shown.
    yield at_most("plain commits ahead of an effect", len(wrong.ahead), 0, named(wrong.ahead) or note)
    yield from _logged("plain ", evidence.plain_offsets, wrong)
    yield at_most("plain partitions not committed to their end", len(wrong.short), 0, named(wrong.short) or note)


def _logged(kind: str, offsets: Offsets, wrong: Faults) -> Iterable[Check]:
    """The broker's own log of commits: it has them all, and none is below the one before it."""
    note = f"{len(offsets.log):,} commits in the broker's log"
    untold = named(wrong.untold) or "its last commits are the coordinator's"
    yield at_most(f"{kind}commits that went back", len(wrong.back), 0, named(wrong.back) or note)
    yield at_most(f"{kind}offsets that the log tells otherwise", len(wrong.untold), 0, untold)


def _reach(found: Iterable[Found]) -> Reach:
    """Of those that emit at once: an event that waits in the table is done when it is there."""
    return Reach(
        ((one.effect.topic, one.effect.partition), one.effect.offset, one.offset)
        for one in found
        if not events.waits(one.effect.number)
    )


def _plain_reach(found: Iterable[PlainFound]) -> Reach:
    """Of each event's first effect."""
    first: dict[Source, int] = {}
    for one in found:
        first[one.source] = min(one.offset, first.get(one.source, one.offset))
    return Reach(((topic, partition), offset, output) for (topic, partition, offset), output in first.items())
