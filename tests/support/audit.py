"""Conservation, computed aside: what Kafka's topics say, read by a client of our own, and nothing of the product's.

1. `Tail` reads topics on from where the last look ended, committed records only.
2. `Audit` folds recipients (by their own coordinates; a forwarded copy names another's), deliveries and dead letters.
3. `Balance` compares, for some campaigns, events in with final outcomes.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any, Final, NamedTuple, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

RECIPIENTS: Final = ("recipients.marketing", "recipients.transactional")
# Written out, not imported: the check must not inherit the product's mistakes.
FINALS: Final = frozenset(
    {
        "accepted",
        "bounced",
        "expired",
        "suppressed",
        "capped",
        "duplicate",
        "invalid",
        "rejected",
        "cancelled",
        "uncertain",
    }
)
# Seconds without a record until a look is over; a fetch answers within 50 ms.
LOOK_S: Final = 0.4
# Where records come all the time there is no such moment: then a look is over after this, once it has caught up.
LONGEST_S: Final = 3.0
_AT_ONCE: Final = 5_000


class Coordinates(NamedTuple):
    """Where an event stands; the topic without the deployment's prefix."""

    topic: str
    partition: int
    offset: int


class Tail:
    """Some topics from their beginning, bit by bit."""

    def __init__(self, bootstrap: str, topics: Iterable[str]) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "tests-audit",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
                "fetch.message.max.bytes": 8 * 1024 * 1024,
                "log_level": 0,
            }
        )
        present = self._consumer.list_topics(timeout=30).topics
        self._consumer.assign(
            [TopicPartition(name, at, OFFSET_BEGINNING) for name in topics for at in present[name].partitions]
        )

    def look(self) -> Iterator[Message]:
        """What came since the last look."""
        began = time.monotonic()
        while messages := self._consumer.consume(_AT_ONCE, timeout=LOOK_S):
            yield from (message for message in messages if message.error() is None)
            if len(messages) < _AT_ONCE and time.monotonic() - began > LONGEST_S:
                return

    def close(self) -> None:
        """Let go of the cluster."""
        self._consumer.close()


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Events in against final outcomes, of some campaigns."""

    sources: frozenset[Coordinates]
    finals: Mapping[Coordinates, list[dict[str, Any]]]

    @property
    def missing(self) -> list[Coordinates]:
        """Events without a final outcome."""
        return sorted(self.sources - self.finals.keys())

    @property
    def doubled(self) -> dict[Coordinates, list[str]]:
        """Events with more than one final outcome."""
        return {at: [one["type"] for one in many] for at, many in self.finals.items() if len(many) > 1}

    @property
    def unasked(self) -> list[Coordinates]:
        """Final outcomes of events that nobody wrote."""
        return sorted(self.finals.keys() - self.sources)

    @property
    def exact(self) -> bool:
        """Whether each event has exactly one final outcome, and nothing else has one."""
        return bool(self.sources) and not (self.missing or self.doubled or self.unasked)

    @property
    def types(self) -> Counter[str]:
        """How often each outcome came."""
        return Counter(one["type"] for many in self.finals.values() for one in many)

    def of_recipients(self) -> dict[str, list[str]]:
        """Each recipient's outcomes, sorted."""
        found: dict[str, list[str]] = defaultdict(list)
        for many in self.finals.values():
            for one in many:
                found[one["recipient_id"]].append(one["type"])
        return {name: sorted(types) for name, types in found.items()}

    def __str__(self) -> str:
        return (
            f"{len(self.sources)} events, {dict(self.types)}, {len(self.missing)} missing {self.missing[:3]}, "
            f"{len(self.doubled)} doubled {dict(list(self.doubled.items())[:3])}, {len(self.unasked)} unasked"
        )


@dataclass(kw_only=True)
class Audit:
    """What was written so far."""

    prefix: str
    tail: Tail
    sources: dict[str, set[Coordinates]] = field(default_factory=lambda: defaultdict(set))
    finals: dict[str, dict[Coordinates, list[dict[str, Any]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    event_ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    dead_letters: dict[Coordinates, dict[str, str]] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    @classmethod
    def on(cls, bootstrap: str, prefix: str) -> Audit:
        """From the beginning of a deployment."""
        names = (*RECIPIENTS, "deliveries", "dead-letters")
        return cls(prefix=prefix, tail=Tail(bootstrap, [f"{prefix}{name}" for name in names]))

    def balance(self, *campaigns: str) -> Balance:
        """Look, then compare for these campaigns (`tenant:campaign`)."""
        for message in self.tail.look():
            self._take(message)
        sources = frozenset[Coordinates]().union(*(self.sources[name] for name in campaigns))
        finals = {at: list(many) for name in campaigns for at, many in self.finals[name].items()}
        return Balance(sources=sources, finals=finals)

    def _take(self, message: Message) -> None:
        topic = str(message.topic()).removeprefix(self.prefix)
        headers = {name: value.decode("utf-8", "replace") for name, value in _headers(message)}
        if topic == "dead-letters":
            at = Coordinates(
                headers["source-topic"], int(headers["source-partition"]), int(headers.get("source-offset", -1))
            )
            self.dead_letters[at] = headers
        elif topic in RECIPIENTS:
            campaign = _campaign_of(message.value() or b"")
            if campaign is not None and "evenpost-origin" not in headers:
                at = Coordinates(topic, int(message.partition() or 0), int(message.offset() or 0))
                self.sources[campaign].add(at)
        else:
            self._delivery(json.loads(message.value() or b""))

    def _delivery(self, event: dict[str, Any]) -> None:
        campaign = f"{event['tenant']}:{event['campaign_id']}"
        self.event_ids[campaign].add(event["event_id"])
        # A sender that crashed may say one fact again under its event_id (DESIGN.md, G7): one fact counts once.
        if event["final"] and event["event_id"] not in self._said:
            self._said.add(event["event_id"])
            assert event["type"] in FINALS, event["type"]
            at = Coordinates(event["source_topic"], event["source_partition"], event["source_offset"])
            self.finals[campaign][at].append(event)


def _headers(message: Message) -> Iterator[tuple[str, bytes]]:
    try:
        headers = methodcaller("headers")(message) or []  # a plain call ends the process: streams/runtime/cluster.py
    except SystemError:  # a key that is no UTF-8: such a record is upstream's, not a gate's
        return
    for name, value in cast("list[tuple[str, bytes | str | None]]", headers):
        yield name, value.encode() if isinstance(value, str) else value or b""


def _campaign_of(value: bytes) -> str | None:
    """Whom the event names, as a foreign reader sees it; None where tenant, campaign or recipient can't be read."""
    try:
        event = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    names = [event.get(name) for name in ("tenant", "campaign_id", "recipient_id")]
    return f"{names[0]}:{names[1]}" if all(isinstance(name, str) and name for name in names) else None
