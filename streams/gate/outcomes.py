"""The records that say what the gate decided: deliveries, sends and dead letters.

Event ids: of what a source record came to, by its coordinates and the step (`final` or `waiting`); of a mail that was
dealt before, by send id, deal and type.  So a decision that is taken again has the same name.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas import ids, topics
from schemas.events import GUESSED_IN_DOUBT, Delivery, DeliveryType, Rule, Send
from streams.gate.terms import Source
from streams.runtime.dead_letters import INTERNAL, DeadLetter, Failure
from streams.runtime.partition.emission import Emission

_MILLISECOND: Final = timedelta(milliseconds=1)
_SENDS: Final = {"marketing": topics.SENDS_MARKETING.name, "transactional": topics.SENDS_TRANSACTIONAL.name}
_encode = msgspec.json.Encoder().encode


def send_emission(send: Send) -> Emission:
    """A dealt send, to the partition of its slot."""
    return Emission(topic=_SENDS[send.kind], key=send.send_id.encode(), value=_encode(send), partition=send.slot)


class Outcomes:
    """Makes deliveries, all to one partition of the topic.  A draft without provider has no good address."""

    def __init__(self, *, partition: int, address_key: bytes, address_key_version: int) -> None:
        self._partition = partition
        self._address_key = address_key
        self._address_key_version = address_key_version
        self.types: Counter[str] = Counter()

    def final(self, send: Send, type_: DeliveryType, rules: tuple[Rule, ...], now: datetime) -> Emission:
        """The final outcome of a mail that does not go, or not again; `uncertain` where it may have gone before."""
        if send.in_doubt and type_ in GUESSED_IN_DOUBT:
            type_ = "uncertain"
        event_id = ids.deal_event_id(send, type_) if send.deal else _source_event_id(send, "final")
        return self._emission(self._delivery(send, event_id, type_, rules=rules, class_=rules[0].rule, now=now))

    def waiting(self, send: Send, rule: Rule, now: datetime) -> Emission:
        """The mail was asked for and waits, by this rule; said once."""
        event_id = _source_event_id(send, "waiting")
        return self._emission(self._delivery(send, event_id, "waiting", rules=(rule,), class_=rule.rule, now=now))

    def _delivery(
        self,
        send: Send,
        event_id: str,
        type_: DeliveryType,
        *,
        class_: str,
        now: datetime,
        rules: tuple[Rule, ...],
    ) -> Delivery:
        dealt = send.deal > 0
        return Delivery(
            event_id=event_id,
            send_id=send.send_id,
            tenant=send.tenant,
            campaign_id=send.campaign_id,
            recipient_id=send.recipient_id,
            kind=send.kind,
            channel=send.to.channel,
            address_id=self.address_id(send.to.address) if send.provider else "",
            domain=send.to.address.rpartition("@")[2] if send.provider else "",
            provider=send.provider,
            pool=send.pool,
            slot=send.slot if dealt else None,
            via="",
            type=type_,
            final=type_ != "waiting",
            class_=class_,
            deal=send.deal,
            attempt=send.attempt,
            smtp_code=None,
            enhanced_code="",
            reply="",
            rules=rules,
            at=now,
            queued_at=send.queued_at if dealt else None,
            latency_ms=(now - send.queued_at) // _MILLISECOND if dealt else None,
            source_topic=send.source_topic,
            source_partition=send.source_partition,
            source_offset=send.source_offset,
        )

    def address_id(self, address: str) -> str:
        """Name a checked address without telling it."""
        return ids.address_id(address, self._address_key, version=self._address_key_version)

    def _emission(self, delivery: Delivery) -> Emission:
        # Senders write to the partition of their slot, each dealer to its own: few partitions are in use, and the
        # warehouse's blocks are large.
        self.types[delivery.type] += 1
        name = delivery.send_id or delivery.event_id
        return Emission(
            topic=topics.DELIVERIES.name,
            key=name.encode(),
            value=_encode(delivery),
            partition=self._partition,
        )


def _source_event_id(send: Send, step: str) -> str:
    return ids.source_event_id(send.source_topic, send.source_partition, send.source_offset, step)


def dead_letter(source: Source, value: bytes | None, reason: str, error: str) -> Emission:
    """For a record that can't be used: the original bytes, as far as they fit, and why as headers."""
    return _letter(source, value, reason=reason, error=error)


def failed_letter(source: Source, value: bytes | None, failure: Failure) -> Emission:
    """For a record that an error of ours stopped."""
    return _letter(source, value, reason=INTERNAL, error=failure.line, tries=failure.tries)


def _letter(source: Source, value: bytes | None, *, reason: str, error: str, tries: int | None = None) -> Emission:
    letter = DeadLetter(
        role="gate",
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        key=source.key or b"",
        value=value or b"",
        reason=reason,
        error=error,
        tries=tries,
    )
    return Emission(
        topic=topics.DEAD_LETTERS.name,
        key=letter.kept_key() or b"",
        value=letter.kept_value() or b"",
        headers=letter.headers(),
    )
