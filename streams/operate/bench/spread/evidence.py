"""What the gates dealt, as the sends topics tell it to a read-committed reader.

The order of deals is the sends' own count (`turn`), and that is checked: from 1, without gaps or doubles, and never
against the times of the deals.  Which weights a version stands for is not taken from it: versions are told apart alone.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.topics import DELIVERIES, SENDS_MARKETING, SENDS_TRANSACTIONAL
from streams.runtime.cluster import KafkaRecord, read_all
from streams.runtime.settings import Settings

Group = tuple[int, str, str]  # gate partition, pool, provider
Source = tuple[str, int]  # a recipients topic and its partition

TOPICS: Final = (SENDS_TRANSACTIONAL, SENDS_MARKETING)


class _Send(msgspec.Struct, frozen=True):
    """Of a send, what is looked at: a million of them are read."""

    gate_partition: int
    pool: str
    provider: str
    slot: int
    weights_version: int
    turn: int
    queued_at: datetime
    source_topic: str
    source_partition: int
    source_offset: int


class Deal(msgspec.Struct, frozen=True, order=True, gc=False):
    """One deal; in the order of turns."""

    turn: int
    slot: int
    version: int
    at: float


class Track:
    """The deals of a group as they come, and sorted once they are all there; 20 bytes each."""

    def __init__(self) -> None:
        self._turns, self._slots, self._versions, self._times = array("L"), array("H"), array("L"), array("d")

    def add(self, deal: Deal) -> None:
        """One more."""
        self._turns.append(deal.turn)
        self._slots.append(deal.slot)
        self._versions.append(deal.version)
        self._times.append(deal.at)

    def deals(self) -> list[Deal]:
        """By turn."""
        columns = zip(self._turns, self._slots, self._versions, self._times, strict=True)
        return sorted(Deal(*one) for one in columns)

    def __len__(self) -> int:
        return len(self._turns)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    `sources`: the offsets of the events that have a send, each as often as it has.  `misplaced`: sends in another
    partition than their slot's.  `undealt`: sends that are no deal (turn 0), of which there should be none.
    `outcomes`: what else the gates said, by type.
    """

    tracks: dict[Group, Track]
    sources: dict[Source, Sequence[int]]
    misplaced: int
    undealt: int
    outcomes: Counter[str]


def gather(settings: Settings) -> Evidence:
    """Read it; some ten seconds for a million.  Raises ClusterUnreachableError."""
    decode = msgspec.json.Decoder(_Send).decode
    tracks: dict[Group, Track] = {}
    sources: dict[Source, Any] = {}
    misplaced = undealt = 0
    for topic in TOPICS:
        for record in read_all(settings, topic):
            send = decode(record.value or b"")
            misplaced += send.slot != record.partition
            undealt += send.turn == 0
            deal = Deal(send.turn, send.slot, send.weights_version, send.queued_at.timestamp())
            tracks.setdefault((send.gate_partition, send.pool, send.provider), Track()).add(deal)
            place = (send.source_topic, send.source_partition)
            sources.setdefault(place, array("q")).append(send.source_offset)
    types = Counter(_type(record) for record in read_all(settings, DELIVERIES))
    return Evidence(tracks=tracks, sources=sources, misplaced=misplaced, undealt=undealt, outcomes=types)


class _Delivery(msgspec.Struct, frozen=True):
    type: str


def _type(record: KafkaRecord) -> str:
    return msgspec.json.decode(record.value or b"", type=_Delivery).type
