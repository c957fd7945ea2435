"""Whether a run was right: what Kafka holds afterwards and what the receiver counted, against the sends computed anew.

Each send must have one delivery, `accepted`, and no broker or sender says that on its own: it rests on the receiver's
250.  As the receiver counted no more messages than there are sends, each is there once.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from schemas.events import Delivery
from schemas.topics import DELIVERIES, JOURNAL, SENDS_MARKETING
from streams.operate.bench.sender import scene
from streams.operate.bench.sender.sides import Side
from streams.operate.proof.checks import named
from streams.runtime import scratch_topics
from streams.runtime.cluster import read_all, read_settled
from streams.runtime.settings import Settings

_delivery = msgspec.json.Decoder(Delivery)


class _Entry(msgspec.Struct, frozen=True):
    entry: str
    send_id: str = ""


_entry = msgspec.json.Decoder(_Entry)
# What a side writes in its journal of each send.
WRITTEN: Final[dict[Side, frozenset[str]]] = {"with": frozenset({"intent", "outcome"}), "without": frozenset()}


def committed(settings: Settings) -> bool:
    """Whether the group's offsets are at the end of every slot's lane."""
    lane = settings.topic(SENDS_MARKETING.name)
    ends = scratch_topics.ends(settings, lane)
    found = scratch_topics.committed(settings, settings.topic("sender"), lane)
    return all(found.get(slot, 0) == end for slot, end in ends.items())


def faults(settings: Settings, side: Side, *, messages: int, counted: int) -> list[str]:
    """What is wrong, a line each."""
    asked = frozenset(scene.asked(messages))
    deliveries = [_delivery.decode(record.value or b"") for record in read_settled(settings, DELIVERIES)]
    decoded = (_entry.decode(record.value or b"") for record in read_all(settings, JOURNAL))
    entries = ((one.entry, one.send_id) for one in decoded)
    found = [] if committed(settings) else ["offsets committed are not the ends of the lanes"]
    if counted != messages:
        found.append(f"{counted:,} messages at the receiver, {messages:,} sends")
    return found + delivered(deliveries, asked) + journaled(entries, asked, side)


def delivered(deliveries: Sequence[Delivery], asked: frozenset[str]) -> list[str]:
    """Each send accepted, once."""
    others = Counter(f"{one.type}, {one.class_}" for one in deliveries if one.type != "accepted")
    found = [f"{count:,} deliveries are {what}" for what, count in others.items()]
    times = Counter(one.send_id for one in deliveries if one.type == "accepted")
    missing, beyond = asked - times.keys(), times.keys() - asked
    twice = sorted(name for name, count in times.items() if count > 1)
    found += [f"no delivery of {len(missing):,} sends: {named(sorted(missing))}"] if missing else []
    found += [f"deliveries of {len(beyond):,} sends that nobody asked for"] if beyond else []
    return found + ([f"{len(twice):,} sends delivered more than once: {named(twice)}"] if twice else [])


def journaled(entries: Iterable[tuple[str, str]], asked: frozenset[str], side: Side) -> list[str]:
    """What the side writes, of each send; and nothing where it writes nothing.

    More than one intent of a send is no fault: a connection that turned out to be closed costs one.
    """
    seen: dict[str, set[str]] = {"intent": set(), "outcome": set()}
    for entry, send_id in entries:
        seen.setdefault(entry, set()).add(send_id)
    return [
        f"{kind}s of {len(seen[kind]):,} sends in the journal, {len(wanted):,} wanted, or not the same"
        for kind in ("intent", "outcome")
        if seen[kind] != (wanted := asked if kind in WRITTEN[side] else frozenset())
    ]
