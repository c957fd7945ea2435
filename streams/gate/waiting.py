"""The waiting room: mails that may not go yet, by campaign and provider, in the order of their due times.

A row's key is `w/<tenant:campaign>/<provider>/<lane>/<due>/<send id>`, so that a scan of a lane meets the next one
first, and one provider's mail never waits behind another's.  Three lanes, since their orders differ:

- `r` (returned): came back from a sender, due when that said.  They need no pace, so they don't queue behind new ones.
- `t` (timed): never dealt, due when their send window opens.
- `n` (new): never dealt, due since it was first seen.  All of them wait for something that they share (their campaign
  to be known, its start, a pause, its pace, the pool's capacity, a slot), so when the first can't go none can.

The index in memory says what waits at all; it is rebuilt by one scan when a partition is taken.
"""

import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from schemas import ids
from schemas.events import Campaign, Content, Send
from streams.gate.old_rows import OldRows
from streams.gate.state import State, millis

Lane = Literal["r", "t", "n"]
RETURNED: Final[Lane] = "r"
TIMED: Final[Lane] = "t"
NEW: Final[Lane] = "n"
LANES: Final[tuple[Lane, Lane, Lane]] = (RETURNED, TIMED, NEW)  # by the age of what is due in them
_LANE_OF: Final[dict[bytes, Lane]] = {lane.encode(): lane for lane in LANES}

_PREFIX: Final = b"w/"
_PARTS: Final = 4  # of a key behind its campaign
_DUE_DIGITS: Final = 14  # milliseconds until the year 5138; fixed width, so that keys sort as numbers


class Row(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What waits: the send to be, as JSON, and whether it goes to the slot that it had."""

    send: bytes
    keep_slot: bool = False


class Ends(NamedTuple):
    """When a lane's first row ends if it can't go before: true of this campaign with this content."""

    campaign: Campaign | None
    content: Content | None
    at: datetime


@dataclass(kw_only=True, slots=True)
class Queue:
    """What memory holds of one campaign's rows for one provider, by lane.

    `due_ms` is no later than the first row's; `ends` is known of a first row that was looked at.
    """

    rows: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(LANES, 0))
    due_ms: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(LANES, sys.maxsize))
    ends: dict[Lane, Ends] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Queues:
    """One campaign's queues, by provider.

    `missing_since`: when the campaign, or its content, was first found missing (after a restart: found so again).
    """

    by_provider: dict[str, Queue] = field(default_factory=dict)
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
        self.campaigns: dict[str, Queues] = {}
        self._waiting = 0
        self.old = OldRows(state)
        for key, _ in state.scan(_PREFIX, limit=sys.maxsize):
            parts = _parts(key)
            if parts is None:
                self.old.add(key)
            else:
                self._count(*parts)

    def __len__(self) -> int:
        return self._waiting + len(self.old)

    def _count(self, campaign: str, provider: str, lane: Lane, due_ms: int) -> None:
        queue = self.campaigns.setdefault(campaign, Queues()).by_provider.setdefault(provider, Queue())
        queue.rows[lane] += 1
        self._waiting += 1
        if due_ms < queue.due_ms[lane]:
            queue.due_ms[lane] = due_ms
            queue.ends.pop(lane, None)

    def put(self, lane: Lane, send: Send, row: bytes) -> None:
        """Add a packed row; it is due at the send's `due`."""
        campaign = ids.campaign_key(send.tenant, send.campaign_id)
        due_ms = millis(send.due)
        self._state.put(_due(_prefix(campaign, send.provider, lane), due_ms) + b"/" + send.send_id.encode(), row)
        self._count(campaign, send.provider, lane, due_ms)

    def first(self, campaign: str, provider: str, lane: Lane, limit: int) -> list[tuple[bytes, bytes]]:
        """The (key, packed row) pairs of a lane that are due first."""
        prefix = _prefix(campaign, provider, lane)
        # Not from the prefix: a lane is emptied from its front, and the store steps over what was deleted there.
        begin = _due(prefix, self.campaigns[campaign].by_provider[provider].due_ms[lane])
        return list(self._state.scan(prefix, limit=limit, after=begin))

    def remove(self, key: bytes) -> None:
        """Take a row out."""
        self._state.delete(key)
        parts = _parts(key)
        if parts is None:
            raise LookupError("a row of an older layout is brought over before it is released")
        campaign, provider, lane, _ = parts
        queues = self.campaigns[campaign].by_provider
        queue = queues[provider]
        queue.rows[lane] -= 1
        self._waiting -= 1
        queue.ends.pop(lane, None)
        if not queue.rows[lane]:
            queue.due_ms[lane] = sys.maxsize
        if not any(queue.rows.values()):
            del queues[provider]
        if not queues:
            del self.campaigns[campaign]

    def bring_over(self, limit: int) -> None:
        """Give at most `limit` rows of the older layout their place."""
        for key, row, provider in self.old.take(limit):
            campaign, _, rest = key[len(_PREFIX) :].partition(b"/")
            lane, due, _ = rest.split(b"/")
            moved = _prefix(campaign.decode(), provider, _LANE_OF[lane]) + rest.partition(b"/")[2]
            self._state.put(moved, row)
            self._count(campaign.decode(), provider, _LANE_OF[lane], int(due))


def due_ms(key: bytes) -> int:
    """When the row at this key is due."""
    return int(key.rsplit(b"/", 2)[1])


def _prefix(campaign: str, provider: str, lane: Lane) -> bytes:
    return f"w/{campaign}/{provider}/{lane}/".encode()


def _due(prefix: bytes, due_ms: int) -> bytes:
    return prefix + b"%0*d" % (_DUE_DIGITS, due_ms)


def _parts(key: bytes) -> tuple[str, str, Lane, int] | None:
    """Campaign, provider, lane and due; no tenant or campaign id holds a slash.  None: the layout before."""
    campaign, _, rest = key[len(_PREFIX) :].partition(b"/")
    parts = rest.rsplit(b"/", _PARTS - 1)
    if len(parts) != _PARTS:
        return None
    provider, lane, due, _ = parts
    return campaign.decode(), provider.decode(), _LANE_OF[lane], int(due)
