"""A gate partition to try: tables in a dict, a small world, and readers of what comes out."""

import bisect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas import ids
from schemas.events import Content, Delivery, Lease, Recipient, Return, Send
from streams.gate.desk import Desk, DeskSettings, Emission, Source
from streams.views.world import World

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
MARKETING, TRANSACTIONAL = "recipients.marketing", "recipients.transactional"
KEY = b"k" * 32
ACME: dict[str, Any] = {
    "tenant": "acme",
    "name": "Acme",
    "domains": [
        {
            "domain": "acme.example",
            "return_path_domain": "bounce.acme.example",
            "dkim": [{"selector": "s1", "key_file": "k.pem"}],
        }
    ],
}
AUTUMN: dict[str, Any] = {
    "tenant": "acme",
    "campaign_id": "autumn",
    "kind": "marketing",
    "from": {"address": "news@acme.example"},
    "subject": "Hello",
    "html": "<p>Hello</p>",
}


class Tables:
    """The `State` protocol on a dict and a sorted list of its keys."""

    def __init__(self) -> None:
        """Empty tables."""
        self.rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self.rows.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""
        if key not in self.rows:
            bisect.insort(self._keys, key)
        self.rows[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a key."""
        if self.rows.pop(key, None) is not None:
            self._keys.pop(bisect.bisect_left(self._keys, key))

    def scan(self, prefix: bytes, *, limit: int, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The first pairs with the prefix, behind a key."""
        begin = bisect.bisect_right(self._keys, after) if after > prefix else bisect.bisect_left(self._keys, prefix)
        for key in self._keys[begin : begin + min(limit, sys.maxsize - begin)]:  # a copy: rows may go meanwhile
            if not key.startswith(prefix):
                return
            yield key, self.rows[key]


@dataclass
class Heard:
    """Emissions, decoded and sorted by topic."""

    sends: list[Send] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    letters: list[Emission] = field(default_factory=list)
    forwarded: list[Emission] = field(default_factory=list)

    @property
    def finals(self) -> list[Delivery]:
        """The final outcomes among the deliveries."""
        return [one for one in self.deliveries if one.final]

    @property
    def types(self) -> list[str]:
        """The types of the deliveries, in order."""
        return [one.type for one in self.deliveries]


def heard(emissions: list[Emission]) -> Heard:
    """Decode what a desk emitted, checking each against its schema and its placement."""
    found = Heard()
    for one in emissions:
        match one.topic:
            case "sends.marketing" | "sends.transactional":
                send = msgspec.json.decode(one.value, type=Send)
                assert (one.partition, one.key, one.topic) == (send.slot, send.send_id.encode(), f"sends.{send.kind}")
                found.sends.append(send)
            case "deliveries":
                found.deliveries.append(msgspec.json.decode(one.value, type=Delivery))
                assert one.partition is not None
            case "dead-letters":
                found.letters.append(one)
            case _:
                found.forwarded.append(one)
    return found


class Scene:
    """One desk in a world that a test shapes.  One gate partition owns all keys, unless told otherwise."""

    def __init__(self, *, partitions: int = 1, partition: int = 0, slots: int = 4, **settings: Any) -> None:
        """A running tenant `acme` with the campaign `autumn` over `slots` even slots."""
        self.now = NOW
        self.world = World()
        self.tables = Tables()
        self.settings = DeskSettings(address_key=KEY, **settings)
        self.partition, self.partitions, self.slots = partition, partitions, slots
        self.offset = 0
        self.tenant()
        self.campaign()
        for slot in range(slots):
            self.egress(slot)
        self.lease()  # no pool's capacity is bounded, until a test says so
        self.desk = self.restarted()

    def restarted(self) -> Desk:
        """A new desk over the same tables."""
        self.desk = Desk(
            self.partition,
            partitions=self.partitions,
            slots=self.slots,
            state=self.tables,
            world=self.world,
            settings=self.settings,
        )
        return self.desk

    def apply(self, topic: str, key: str, event: dict[str, Any] | None) -> None:
        """Tell the world something."""
        self.world.apply(topic, key, None if event is None else msgspec.json.encode(event))

    def tenant(self, name: str = "acme", **fields: Any) -> None:
        """Set a tenant."""
        self.apply("tenants", name, ACME | {"tenant": name} | fields)

    def campaign(self, name: str = "autumn", *, compiled: bool = True, **fields: Any) -> None:
        """Set a campaign, and its compiled content as CONTROL would."""
        event = AUTUMN | {"campaign_id": name} | fields
        self.apply("campaigns", f"{event['tenant']}:{name}", event)
        if compiled:
            self.compile(name, tenant=event["tenant"])

    def compile(self, name: str = "autumn", *, tenant: str = "acme", refused: str = "") -> None:
        """Say what became of a campaign's content."""
        campaign = self.world.campaigns[f"{tenant}:{name}"]
        content = Content(
            tenant=tenant,
            campaign_id=name,
            version=self.world.content_version(campaign),
            state="refused" if refused else "compiled",
            reason=refused,
            kind=campaign.kind,
            channel="mail",
            from_=campaign.from_,
            compiled_at=NOW,
        )
        key = ids.content_key(tenant, name, content.version)
        self.world.apply("contents", key, msgspec.json.encode(content))

    def egress(self, slot: int, **fields: Any) -> None:
        """Set a sending IP."""
        event = {"slot": slot, "via": {"kind": "bind", "address": f"127.0.0.{slot + 2}"}, "ehlo": "m.example"}
        self.apply("egress", str(slot), event | fields)

    def lease(self, paces: dict[str, float] | None = None, ttl_s: float = 3600, **capacity: Any) -> None:
        """Grant this partition paces, and `per_pool_s`, `capacity_per_s`."""
        lease = Lease(
            gate_partition=self.partition,
            issued_at=self.now,
            expires_at=self.now + timedelta(seconds=ttl_s),
            pace_per_s=paces or {},
            **capacity,
        )
        self.world.apply("leases", str(self.partition), msgspec.json.encode(lease))

    def suppress(self, address: str, *, scope: str = "global", reason: str = "complaint", **fields: Any) -> str:
        """Suppress an address; the entry's key."""
        name = ids.address_id(address, KEY)
        key = ids.suppression_key(scope, "mail", reason, name)
        event = {"scope": scope, "channel": "mail", "reason": reason, "address_id": name, "source": "t", "at": NOW}
        self.apply("suppressions", key, event | fields)
        return key

    def source(self, topic: str = MARKETING, offset: int | None = None, **fields: Any) -> Source:
        """The coordinates of the next record, or of a given one."""
        if offset is None:
            offset, self.offset = self.offset, self.offset + 1
        return Source(topic=topic, partition=self.partition, offset=offset, **fields)

    def ask(self, recipient: str = "u1", *, topic: str = MARKETING, offset: int | None = None, **fields: Any) -> Heard:
        """Receive a recipient event."""
        source = self.source(topic, offset)
        return heard(self.desk.receive(source, event(recipient, **fields), self.now))

    def raw(self, value: bytes | None, **fields: Any) -> Heard:
        """Receive any bytes."""
        return heard(self.desk.receive(self.source(**fields), value, self.now))

    def give(self, kind: str, send: Send, *, due_s: float = 0.0) -> Heard:
        """Receive a return."""
        back = Return(
            kind=kind,  # type: ignore[arg-type]  # tests name it in words
            send=send,
            due=self.now + timedelta(seconds=due_s),
            reason="t",
            at=self.now,
        )
        return heard(self.desk.receive(self.source("returns"), msgspec.json.encode(back), self.now))

    def release(self, limit: int = 10_000) -> Heard:
        """Release what waits."""
        return heard(self.desk.release(self.now, limit=limit))

    def later(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


def event(recipient: str = "u1", **fields: Any) -> bytes:
    """A recipient event of the campaign `autumn`."""
    whole = {
        "tenant": "acme",
        "campaign_id": "autumn",
        "recipient_id": recipient,
        "to": {"address": f"{recipient}@docomo.example"},
        "variables": {"name": "太郎"},
    }
    return msgspec.json.encode(whole | fields)


def recipient(**fields: Any) -> Recipient:
    """The struct of an event."""
    return msgspec.json.decode(event(**fields), type=Recipient)
