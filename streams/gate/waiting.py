"""The waiting room: mails that may not go yet, by campaign, in the order of their due times.

A row's key is `w/<tenant:campaign>/<lane>/<due>/<send id>`, so that a scan of a campaign's lane meets the next one
first.  Two lanes, since their orders differ:

- `n` (new): never dealt, due since it was first seen.  All of them wait for something of the whole campaign (to be
  known, its start, a pause, its pace, a slot), so when the first can't go none can: one look is enough.
- `r` (returned): came back from a sender, due when that said.  They need no pace credit, so they don't queue behind
  those that do.

The index in memory says which campaigns have rows at all; it is rebuilt by one scan when a partition is taken.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec

from schemas import ids
from schemas.events import Send
from streams.gate.state import State, millis

Lane = Literal["n", "r"]
NEW: Final[Lane] = "n"
RETURNED: Final[Lane] = "r"
LANES: Final[tuple[Lane, Lane]] = (RETURNED, NEW)  # a retry is older than what was never dealt

_PREFIX: Final = b"w/"
_DUE_DIGITS: Final = 14  # milliseconds until the year 5138; fixed width, so that keys sort as numbers


class Row(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What waits: the send to be, as JSON, and whether it goes to the slot that it had."""

    send: bytes
    keep_slot: bool = False


@dataclass(kw_only=True, slots=True)
class Queue:
    """What memory holds of one campaign's rows.

    `rows` counts them by lane; `due_ms` is no later than the first of each; `missing_since` is when the campaign, or
    its content, was first found missing (after a restart: found so again).
    """

    rows: dict[Lane, int] = field(default_factory=lambda: {NEW: 0, RETURNED: 0})
    due_ms: dict[Lane, int] = field(default_factory=lambda: {NEW: sys.maxsize, RETURNED: sys.maxsize})
    missing_since: datetime | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(Row).decode
_encode_send = msgspec.json.Encoder().encode
_decode_send = msgspec.json.Decoder(Send).decode


def unpack(value: bytes) -> tuple[Send, bool]:
    """A stored row's send, and whether it keeps its slot.  Raises msgspec.MsgspecError for bytes that are no row."""
    row = _decode_row(value)
    return _decode_send(row.send), row.keep_slot


def pack(send: Send, *, keep_slot: bool) -> bytes:
    """A row's stored form."""
    return _encode(Row(send=_encode_send(send), keep_slot=keep_slot))


class WaitingRoom:
    """The rows of one gate partition."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.queues: dict[str, Queue] = {}
        for key, _ in state.scan(_PREFIX, limit=sys.maxsize):
            campaign, lane, due_ms = _parts(key)
            self._count(campaign, lane, due_ms)

    def __len__(self) -> int:
        return sum(sum(queue.rows.values()) for queue in self.queues.values())

    def _count(self, campaign: str, lane: Lane, due_ms: int) -> None:
        queue = self.queues.setdefault(campaign, Queue())
        queue.rows[lane] += 1
        queue.due_ms[lane] = min(queue.due_ms[lane], due_ms)

    def put(self, lane: Lane, send: Send, row: bytes) -> None:
        """Add a packed row; it is due at the send's `due`."""
        campaign = ids.campaign_key(send.tenant, send.campaign_id)
        due_ms = millis(send.due)
        self._state.put(_prefix(campaign, lane) + b"%0*d/" % (_DUE_DIGITS, due_ms) + send.send_id.encode(), row)
        self._count(campaign, lane, due_ms)

    def first(self, campaign: str, lane: Lane, limit: int) -> Iterator[tuple[bytes, bytes]]:
        """The (key, packed row) pairs of a lane that are due first."""
        return self._state.scan(_prefix(campaign, lane), limit=limit)

    def remove(self, key: bytes) -> None:
        """Take a row out."""
        self._state.delete(key)
        campaign, lane, _ = _parts(key)
        queue = self.queues[campaign]
        queue.rows[lane] -= 1
        if not queue.rows[lane]:
            queue.due_ms[lane] = sys.maxsize
        if not any(queue.rows.values()):
            del self.queues[campaign]


def due_ms(key: bytes) -> int:
    """When the row at this key is due."""
    return _parts(key)[2]


def _prefix(campaign: str, lane: Lane) -> bytes:
    return _PREFIX + campaign.encode() + b"/" + lane.encode() + b"/"


def _parts(key: bytes) -> tuple[str, Lane, int]:
    """Campaign, lane and due of a key; neither a tenant nor a campaign id holds a slash."""
    campaign, lane, due, _ = key[len(_PREFIX) :].split(b"/")
    return campaign.decode(), RETURNED if lane == RETURNED.encode() else NEW, int(due)
