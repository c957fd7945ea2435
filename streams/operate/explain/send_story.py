"""One send's story: what was said of it, in the order of time, each step with what decided it.  Pure.

1. Each delivery event is a step; one that names a dealing also tells of that dealing, at `queued_at`.
2. Sends, intents and returns from Kafka, where they were read, say more: weights and turn, the connection, until when
   it waits.
3. A fact that two witnesses tell is one step.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas.events import FINAL_TYPES, Delivery, Intent, Return, Rule, Send
from schemas.events.deliveries import MEANINGS

# Steps of one moment, in the order in which they follow from each other.
_ORDER: Final = ("waiting", "dealt", "intent", "comes back")
# A due time closer than this is no wait worth telling.
_AT_ONCE: Final = timedelta(milliseconds=100)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened.

    `what` is a delivery's type, or `dealt`, `intent`, `comes back`.  `deal` 0: never dealt by then.
    """

    at: datetime
    what: str
    words: str
    slot: int | None
    deal: int
    attempt: int
    rules: tuple[Rule, ...] = ()
    final: bool = False


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `outcome` is the type of the final one, None while it has none.

    `asked` are the recipient events that named this send, as topic, partition, offset: a second one is a duplicate.
    """

    send_id: str
    tenant: str
    campaign_id: str
    recipient_id: str
    kind: str
    domain: str
    provider: str
    asked: tuple[tuple[str, int, int], ...]
    outcome: str | None
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """From the first step to the last."""
        return (self.steps[-1].at - self.steps[0].at).total_seconds()


def story(
    deliveries: Sequence[Delivery],
    *,
    sends: Sequence[Send] = (),
    intents: Sequence[Intent] = (),
    returns: Sequence[Return] = (),
) -> Story | None:
    """What these tell of one send; None where they tell nothing."""
    if not deliveries and not sends:
        return None
    steps = [_said(one) for one in deliveries]
    known = {one.deal for one in sends}
    steps += [_dealt(one) for one in _by_deal(sends)]
    steps += [_dealt_by_report(one) for one in _reports(deliveries) if one.deal not in known]
    steps += [_intent(one) for one in intents]
    steps += [_back(one) for one in returns]
    steps.sort(key=lambda step: (step.at, step.deal, _rank(step.what)))
    first: Delivery | Send = deliveries[0] if deliveries else sends[0]
    domain = first.domain if isinstance(first, Delivery) else first.to.address.rpartition("@")[2]
    said: list[Delivery | Send] = [*deliveries, *sends]
    places = [(one.source_topic, one.source_partition, one.source_offset) for one in said]
    # A duplicate ends a second event; the send's own end is what its first event came to.
    ends = [one for one in steps if one.final and one.what != "duplicate"] or [one for one in steps if one.final]
    return Story(
        send_id=first.send_id,
        tenant=first.tenant,
        campaign_id=first.campaign_id,
        recipient_id=first.recipient_id,
        kind=first.kind,
        domain=domain,
        provider=first.provider,
        asked=tuple(dict.fromkeys(places)),
        outcome=ends[0].what if ends else None,
        steps=tuple(steps),
    )


def _rank(what: str) -> int:
    return _ORDER.index(what) if what in _ORDER else len(_ORDER) - 1


def _by_deal(sends: Iterable[Send]) -> list[Send]:
    """Each dealing once."""
    return list({one.deal: one for one in sends}.values())


def _reports(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """One delivery of each dealing."""
    return list({one.deal: one for one in deliveries if one.deal and one.queued_at is not None}.values())


def _said(one: Delivery) -> Step:
    code = " ".join(str(part) for part in (one.smtp_code, one.enhanced_code) if part)
    reply = " ".join(part for part in (code, one.reply) if part)
    words = "; ".join(part for part in (one.class_, reply, *map(rule_words, one.rules)) if part)
    return Step(
        at=one.at,
        what=one.type,
        words=words or MEANINGS[one.type],
        slot=one.slot,
        deal=one.deal,
        attempt=one.attempt,
        rules=one.rules,
        final=one.type in FINAL_TYPES,
    )


def rule_words(rule: Rule) -> str:
    """A rule that failed, in words."""
    until = f", next {rule.next_eligible:%Y-%m-%d %H:%M:%S}" if rule.next_eligible else ""
    return f"{rule.rule} = {rule.value} (limit {rule.limit}{until})"


def _dealt(send: Send) -> Step:
    kept = "kept its IP" if send.weights_version == 0 else f"turn {send.turn:,}, weights {send.weights_version:08x}"
    words = f"{send.pool}/{send.provider}: {kept}; until {send.expire_at:%Y-%m-%d %H:%M:%S}"
    return Step(at=send.queued_at, what="dealt", words=words, slot=send.slot, deal=send.deal, attempt=send.attempt)


def _dealt_by_report(one: Delivery) -> Step:
    assert one.queued_at is not None  # noqa: S101  # `_reports` chose it
    words = f"{one.pool}/{one.provider}"
    return Step(at=one.queued_at, what="dealt", words=words, slot=one.slot, deal=one.deal, attempt=0)


def _intent(one: Intent) -> Step:
    words = f"SMTP transaction on {one.connection}"
    return Step(at=one.at, what="intent", words=words, slot=None, deal=one.deal, attempt=one.attempt)


def _back(one: Return) -> Step:
    send = one.send
    wait = "" if one.due - one.at <= _AT_ONCE else f", due {one.due:%Y-%m-%d %H:%M:%S}"
    return Step(
        at=one.at,
        what="comes back",
        words=f"{one.kind}: {one.reason}{wait}",
        slot=send.slot,
        deal=send.deal,
        attempt=send.attempt,
    )
