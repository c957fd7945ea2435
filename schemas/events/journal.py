"""What a slot's sender writes down for whoever sends from that slot next (docs/delivery-guarantees.md).

An intent says: from now on nobody knows whether this mail went, until its outcome says.  A checkpoint says how far the
slot's lanes were done, and which intents were open, so that nothing before it needs to be read.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.events.deliveries import Delivery
from schemas.events.fields import Slot, Timestamp
from schemas.events.sends import Return, SendId
from schemas.events.suppressions import Suppression

Offset = Annotated[int, Meta(ge=0)]


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One SMTP transaction that has begun: durable before its dot.

    `attempt` is that transaction's number, `content` the version that was rendered, `connection` names the open
    connection: the receiver's host and our local port.  `lane` and `offset` say where the send stands: its topic by
    declared name.
    """

    entry: Literal["intent"] = "intent"
    send_id: SendId
    deal: int
    attempt: int
    content: str
    connection: str
    lane: str
    offset: Offset
    at: Timestamp


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one (send id, deal): enough to redo its effects, never to send again.

    `lane` and `offset` as in its intent.
    """

    entry: Literal["outcome"] = "outcome"
    send_id: SendId
    deal: int
    delivery: Delivery
    returned: Return | None = None
    suppression: Suppression | None = None
    lane: str | None = None
    offset: Offset | None = None


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """How far one lane is: sends are begun in order, so all below `next` are done, but for those at `open`.

    `ahead` are done as well, though not below `next`: their outcomes were found in the journal when the slot was taken.
    """

    next: Offset
    open: tuple[Offset, ...] = ()
    ahead: tuple[Offset, ...] = ()


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a slot stood at a commit: its lanes by topic (declared name), and the intents without an outcome.

    `today` counts what went on `day` (UTC) to each provider that takes so many messages a day from one IP.
    """

    entry: Literal["checkpoint"] = "checkpoint"
    slot: Slot
    lanes: dict[str, Lane]
    open: tuple[Intent, ...]
    at: Timestamp
    day: str = ""
    today: dict[str, int] = msgspec.field(default_factory=dict)
