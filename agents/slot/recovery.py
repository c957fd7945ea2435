"""What the journal says to who takes a slot.  Blocking.

1. Where to begin: the checkpoint that the group's offsets name in their metadata.
2. From there, committed records alone: the last checkpoint among them is the one that counts.  The group's offsets may
   be from before a coordinator's restart (ADR 8), a checkpoint and the effects before it are one transaction.  Where a
   transaction that hangs hides it from readers of committed records, it is the one that the offsets name.
3. From that checkpoint on all records, those of the transaction that the fence ended as well: facts.

Both readings are as long as what a slot does within a commit's time, however long one of its connections has hung:
whatever is open rides in each checkpoint.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec
import structlog
from confluent_kafka import Message

from schemas import topics
from schemas.events import Checkpoint
from streams.delivery.journal import CHECKPOINT_KEY, Entry, Memory, decode, remembered
from streams.delivery.lane_note import LaneNote
from streams.runtime import metrics
from streams.runtime.partition.group_offsets import Committed
from streams.runtime.settings import Settings
from streams.runtime.state.changelog import Changelog

log = structlog.get_logger(__name__)

Isolation = Literal["read_committed", "read_uncommitted"]


@dataclass(frozen=True, kw_only=True)
class ReadBack:
    """What was read."""

    memory: Memory

    def close(self) -> None:
        """Nothing is held open."""


def read_back(slot: int, stable: Mapping[str, Committed], settings: Settings, *, go_on: Callable[[], bool]) -> ReadBack:
    """Read the slot's journal; `stable` by full topic name.  Raises RecoveryError, KafkaException."""
    began = time.monotonic()
    checkpoint, at = _last_checkpoint(slot, _named(stable), settings, go_on)
    entries = [entry for _, entry in _entries(slot, at, settings, "read_uncommitted", go_on)]
    prefix = settings.kafka.prefix
    offsets = {topic.removeprefix(prefix): committed.offset for topic, committed in stable.items()}
    memory = remembered(checkpoint, entries, offsets, now=datetime.now(UTC))
    took = time.monotonic() - began
    metrics.RECOVERY_SECONDS.labels(topics.JOURNAL.name, slot).set(took)
    metrics.RECOVERED.labels(topics.JOURNAL.name).inc(len(entries))
    metrics.IN_DOUBT.inc(len(memory.in_doubt))
    log.info(
        "slot taken",
        slot=slot,
        journal_records=len(entries),
        redone=len(memory.redo),
        in_doubt=len(memory.in_doubt),
        seconds=round(took, 3),
    )
    return ReadBack(memory=memory)


def _named(stable: Mapping[str, Committed]) -> int | None:
    """The latest checkpoint that the offsets name."""
    notes = (LaneNote.read(one.metadata) for one in stable.values())
    return max((note.checkpoint for note in notes if note is not None), default=None)


def _last_checkpoint(
    slot: int, named: int | None, settings: Settings, go_on: Callable[[], bool]
) -> tuple[Checkpoint | None, int | None]:
    """The last committed one, and from where on the journal counts."""
    found, at = None, named
    for offset, entry in _entries(slot, named, settings, "read_committed", go_on, key=CHECKPOINT_KEY):
        if isinstance(entry, Checkpoint):
            found, at = entry, offset
    if named is None or (found is not None and at is not None and at >= named):
        return found, at
    # Offsets and checkpoint are one transaction: that they name it says that it is committed, whatever hides it.
    hidden = next(_entries(slot, named, settings, "read_uncommitted", go_on, key=CHECKPOINT_KEY), None)
    if hidden is not None and hidden[0] == named and isinstance(hidden[1], Checkpoint):
        log.warning("a transaction that hangs in the journal hides its checkpoint", slot=slot, checkpoint=named)
        return hidden[1], named
    return found, at


def _entries(
    slot: int,
    start: int | None,
    settings: Settings,
    isolation: Isolation,
    go_on: Callable[[], bool],
    key: bytes | None = None,
) -> Iterator[tuple[int, Entry]]:
    """Offset and content of the journal's records up to its end, or of those with that key."""
    topic = settings.topic(topics.JOURNAL.name)
    with Changelog(settings.kafka, topic, slot, go_on=go_on, isolation=isolation) as journal:
        low, high = journal.bounds()
        if low == high:
            return
        inside = None if start is None or not low <= start <= high else start
        for messages in journal.messages(inside):
            for message in messages:
                if key is None or message.key() == key:
                    yield from _decoded(message, slot)


def _decoded(message: Message, slot: int) -> Iterator[tuple[int, Entry]]:
    """A record, unless it is none of ours: it is told, and changes nothing."""
    try:
        yield message.offset() or 0, decode(message.value() or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        log.warning("journal record not understood", slot=slot, offset=message.offset(), error=str(error))
