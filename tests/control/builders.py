"""Deliveries to try, with times and words that a test names and the rest made up."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from schemas.events import Delivery, Volume
from streams.control.rules import Rule, VolumeTerms, rule
from streams.control.seen import Seen, decode
from streams.delivery.replies import classes

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = VolumeTerms()
CORPUS = Path(__file__).parents[1] / "corpora" / "bounces" / "replies.jsonl"


def at(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def delivery(**fields: Any) -> Delivery:
    """A delivery of acme's `autumn` from slot 3 to Gmail, accepted; `class_` is its class."""
    said: dict[str, Any] = {
        "event_id": "0" * 32,
        "send_id": "0" * 32,
        "tenant": "acme",
        "campaign_id": "autumn",
        "recipient_id": "u1",
        "kind": "marketing",
        "channel": "mail",
        "address_id": "",
        "domain": "gmail.com",
        "provider": "gmail",
        "pool": "shared",
        "slot": 3,
        "via": "bind:127.0.0.5",
        "type": "accepted",
        "final": True,
        "class_": "accepted",
        "deal": 1,
        "attempt": 1,
        "smtp_code": 250,
        "enhanced_code": "",
        "reply": "",
        "rules": (),
        "at": NOW,
        "queued_at": NOW,
        "latency_ms": 1,
        "source_topic": "recipients.marketing",
        "source_partition": 0,
        "source_offset": 0,
    }
    return Delivery(**(said | fields))


def seen(**fields: Any) -> Seen:
    """The same as automation sees it: through its bytes."""
    return decode(msgspec.json.encode(delivery(**fields)))


def refused(seconds: float = 0, **fields: Any) -> Seen:
    """A refusal of our IP, so many seconds after NOW."""
    said = {
        "type": "bounced",
        "class_": "policy",
        "smtp_code": 550,
        "enhanced_code": "5.7.1",
        "reply": "5.7.1 blocked using zen.spamhaus.org",
        "at": at(seconds),
    }
    return seen(**(said | fields))


def a_rule(**fields: Any) -> Rule:
    """Three refusals of an IP by a provider within 10 minutes: dealt elsewhere for an hour."""
    said: dict[str, Any] = {
        "scope": "slot/provider",
        "classes": ["policy"],
        "count": 3,
        "within": "10m",
        "action": "deal_elsewhere",
        "for": "1h",
    }
    table = {name: value for name, value in (said | fields).items() if value is not None}
    made = rule("rules.toml", "blocked", table, known_classes=classes())
    assert made is not None
    return made


def volume(scope: str, key: str, begins_at: datetime, **figures: Any) -> Volume:
    """An hour's volume; what is not named is 0."""
    names = ("attempts", "accepted", "bounced", "deferred", "complained", "dead")
    return Volume(  # type: ignore[arg-type]
        scope=scope, key=key, begins_at=begins_at, span_s=3600, **{name: figures.get(name, 0) for name in names}
    )
