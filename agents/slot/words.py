"""The records in which a slot says what it does and what became of it."""

import msgspec

from agents.slot.shared import Shared
from schemas import ids, topics
from schemas.events import Checkpoint, Intent, Outcome, Suppression
from streams.delivery.journal import CHECKPOINT_KEY, record_key
from streams.runtime.dead_letters import DeadLetter
from streams.runtime.metrics import DEAD_LETTERS
from streams.runtime.partition.record import Record

_encode = msgspec.json.Encoder().encode


class Words:
    """Makes the records of one slot."""

    def __init__(self, slot: int, shared: Shared) -> None:
        self._slot = slot
        topic = shared.settings.topic
        self._journal = topic(topics.JOURNAL.name)
        self._deliveries = topic(topics.DELIVERIES.name)
        self._returns = topic(topics.RETURNS.name)
        self._suppressions = topic(topics.SUPPRESSIONS.name)
        self._dead_letters = topic(topics.DEAD_LETTERS.name)

    def fact(self, entry: Intent | Outcome) -> Record:
        """An intent or outcome, for the journal."""
        return Record(topic=self._journal, key=record_key(entry), value=_encode(entry), partition=self._slot)

    def checkpoint(self, checkpoint: Checkpoint) -> Record:
        """Where the slot stands, for the journal."""
        return Record(topic=self._journal, key=CHECKPOINT_KEY, value=_encode(checkpoint), partition=self._slot)

    def effects(self, outcome: Outcome, *, journaled: bool) -> list[Record]:
        """What follows from an outcome, and itself where its intent is in the journal."""
        delivery = Record(
            topic=self._deliveries,
            key=outcome.send_id.encode(),
            value=_encode(outcome.delivery),
            partition=self._slot,
        )
        records = [self.fact(outcome), delivery] if journaled else [delivery]
        if outcome.returned is not None:
            back = outcome.returned.send
            person = ids.person_key(back.tenant, back.recipient_id).encode()
            records.append(Record(topic=self._returns, key=person, value=_encode(outcome.returned)))
        return records

    def suppression(self, entry: Suppression) -> Record:
        """An address that gets no mail any more."""
        key = ids.suppression_key(entry.scope, entry.channel, entry.reason, entry.address_id)
        return Record(topic=self._suppressions, key=key.encode(), value=_encode(entry))

    def dead_letter(self, letter: DeadLetter) -> Record:
        """An event that can't be used."""
        DEAD_LETTERS.labels(letter.topic).inc()
        return Record(
            topic=self._dead_letters, key=letter.kept_key(), value=letter.kept_value(), headers=letter.headers()
        )
