"""Who gets which partition number: even, sticky, and a sending address only to whom can bind it.  Pure.

A unit is a width: partition p of all topics that have it goes to one member (both lanes of a slot, the three sources
of a gate partition), since its owner is the only one who decides for that slot or those persons.  The steps:

1. Who may have a partition: each member that reads all topics of the unit; of a slot that binds an address, those
   that have the address.  Where nobody has it, anybody: its owner gives the slot's sends back.
2. What a member held, it keeps; the rest goes to whoever has least.  Slots in use are dealt out before spare ones, so
   that both are spread evenly.
3. `leveling` makes that as even as it can be, with as few moves as can be.

The same input gives the same plan, in whatever order members are named.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from streams.runtime.assignment.leveling import Deal

_NONE: Final[Mapping[int, str | None]] = {}


@dataclass(frozen=True, kw_only=True)
class Member:
    """One worker of a group, as it describes itself; `id` is the group protocol's, `name` orders plans."""

    id: str
    name: str
    topics: AbstractSet[str]
    held: AbstractSet[int] = field(default_factory=frozenset)
    can_bind: Callable[[str], bool] = lambda _: False


def plan(
    widths: Mapping[str, int], members: Collection[Member], slots: Mapping[int, str | None] = _NONE
) -> dict[str, dict[str, list[int]]]:
    """Each topic's partitions by member id.

    `widths` is each topic's number of partitions; `slots` are the slots in use, with the address that each binds, None
    where any host will do.
    """
    ordered = sorted(members, key=lambda member: (member.name, member.id))
    plans: dict[str, dict[str, list[int]]] = {member.id: {} for member in ordered}
    for topics, width in _units(widths, ordered):
        readers = [member for member in ordered if member.topics >= set(topics)]
        if readers:
            for partition, at in enumerate(_placed(width, readers, slots)):
                for topic in topics:
                    plans[readers[at].id].setdefault(topic, []).append(partition)
    return plans


def _units(widths: Mapping[str, int], members: Sequence[Member]) -> list[tuple[list[str], int]]:
    """The topics that go together.

    During a roll-out members may differ in their topics: then those that read all of a unit get all of it, as a
    partition with two owners is worse than an uneven hour.  Where nobody reads all, each topic is alone.
    """
    read = {topic for member in members for topic in member.topics}
    units: list[tuple[list[str], int]] = []
    for width in sorted(set(widths.values())):
        topics = sorted(topic for topic in read if widths.get(topic) == width)
        whole = any(member.topics >= set(topics) for member in members)
        units += [(topics, width)] if whole else [([topic], width) for topic in topics]
    return units


def _placed(width: int, members: Sequence[Member], slots: Mapping[int, str | None]) -> list[int]:
    """For each partition the index of its member."""
    everybody = list(range(len(members)))
    able = {
        address: [at for at in everybody if members[at].can_bind(address)] or everybody
        for address in {address for address in slots.values() if address is not None}
    }
    allowed = [everybody if (address := slots.get(number)) is None else able[address] for number in range(width)]
    holders = _holders(width, members)
    busy = [number for number in range(width) if number in slots]
    spare = [number for number in range(width) if number not in slots]
    loads = [0] * len(members)
    placed = [0] * width
    for numbers in (busy, spare):
        deal = Deal(numbers, allowed, holders, loads)
        deal.begin()
        deal.level()
        deal.perfect()
        for number, at in deal.at.items():
            placed[number] = at
        loads = deal.loads
    return placed


def _holders(width: int, members: Sequence[Member]) -> list[int | None]:
    """Who keeps a partition, if may be; of several that claim it (old state on a disk), the one that claims least."""
    holders: list[int | None] = [None] * width
    for at in sorted(range(len(members)), key=lambda at: (-len(members[at].held), -at)):
        for number in members[at].held:
            if 0 <= number < width:
                holders[number] = at
    return holders
