"""Who is asked to get what, and what must come of each event: pure, the same for the same seed.

A person has a story: the address chooses the receiver's answer (streams.operate.simulator.outcomes), the event's form
or the person's history chooses ours.  The story says the only final outcome that each of the person's events may have,
so that the run is compared with something that never saw it.
"""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas import ids
from schemas.events import FINAL_TYPES, Kind, SuppressionRequest
from streams.operate.demo import scene
from streams.operate.demo.scene import MAILINGS, Mailing

# Story -> part of a marketing campaign's people; `plain` is who is left.
MARKETING: Final[Mapping[str, float]] = {
    "greylist": 0.02,
    "unknown": 0.02,
    "slow": 0.01,
    "throttle": 0.01,
    "drop": 0.005,
    "suppressed": 0.02,
    "elsewhere": 0.005,
    "invalid": 0.006,
    "doubled": 0.01,
    "capped": 0.01,
    "broken": 0.002,
}
TRANSACTIONAL: Final[Mapping[str, float]] = {
    "greylist": 0.02,
    "unknown": 0.01,
    "slow": 0.01,
    "throttle": 0.01,
    "drop": 0.005,
    "suppressed": 0.005,
    "invalid": 0.005,
    "doubled": 0.01,
}
# Full mailboxes end when their campaign does: only the short one has them.
FULL_SHARE: Final = 0.01
# Editions of one campaign that a capped person is asked to get: two more than the cap lets through.
EDITIONS: Final = scene.CAP_MAX + 2
# Fewer people than this leave some story of the smallest campaign without anybody.
LEAST: Final = 300
# What the address begins with, where the receiver's answer is the story.
_ANSWERS: Final = frozenset({"greylist", "unknown", "full", "slow", "throttle", "drop"})
_PEOPLE: Final = (
    ("taro", "太郎"), ("hanako", "花子"), ("ken", "健"), ("yuki", "雪"), ("sora", "空"), ("mei", "芽依"),
    ("haruto", "陽翔"), ("aoi", "葵"), ("rin", "凛"), ("jose", "José"), ("zoe", "Zoë"), ("minh", "Minh"),
)  # fmt: skip
_ITEMS: Final = ("京都の宿", "新米", "万年筆", "秋の夜長に読む本", "温泉めぐり🍁", "手ぬぐい", "コーヒー豆")


class PlannedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient event: its bytes, and the final outcome that it must come to.

    `expected` None: too broken to name its campaign, so a dead letter.  `number` stands in the body, and finds the
    event again in Kafka.
    """

    number: int
    campaign: str
    kind: Kind
    story: str
    key: str
    body: bytes
    expected: str | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All events in the order in which they are asked for, by kind; `barred` are the suppressed (tenant, address)."""

    marketing: tuple[PlannedEvent, ...]
    transactional: tuple[PlannedEvent, ...]
    suppressions: tuple[SuppressionRequest, ...]
    barred: frozenset[tuple[str, str]]

    @property
    def events(self) -> tuple[PlannedEvent, ...]:
        """All of them."""
        return self.marketing + self.transactional

    @property
    def finals(self) -> int:
        """How many final outcomes there must be."""
        return sum(event.expected is not None for event in self.events)

    @property
    def full(self) -> int:
        """How many of them come only when the short campaign is over."""
        return sum(event.story == "full" for event in self.events)


class _Person(msgspec.Struct, frozen=True, kw_only=True):
    mailing: Mailing
    story: str
    recipient_id: str
    address: str
    variables: dict[str, Any]


def make(recipients: int, *, seed: int, at: datetime) -> Plan:
    """The plan for so many people, at least LEAST; `at` dates the suppressions."""
    chance = random.Random(seed)  # noqa: S311  # a demo's dice, not a secret
    people = [person for mailing in MAILINGS for person in _people(mailing, recipients, chance)]
    # A person of several events stands there several times; the n-th place is the n-th event.
    places = [person for person in people for _ in range(_events_of(person.story))]
    chance.shuffle(places)
    seen: dict[str, int] = {}
    events: list[PlannedEvent] = []
    for number, person in enumerate(places):
        nth = seen[person.recipient_id] = seen.get(person.recipient_id, -1) + 1
        events.append(_event(number, person, nth))
    suppressions = [one for person in people for one in _suppressions(person, at)]
    return Plan(
        marketing=tuple(event for event in events if event.kind == "marketing"),
        transactional=tuple(event for event in events if event.kind == "transactional"),
        suppressions=tuple(suppressions),
        barred=frozenset(
            (person.mailing.tenant, ids.canonical_address(person.address))
            for person in people
            if person.story == "suppressed"
        ),
    )


def _people(mailing: Mailing, recipients: int, chance: random.Random) -> Iterator[_Person]:
    total = round(recipients * mailing.share)
    for index, story in enumerate(_stories(mailing, total)):
        romaji, name = chance.choice(_PEOPLE)
        (mailboxes,) = chance.choices(scene.MAILBOXES, [one.share for one in scene.MAILBOXES])
        recipient_id = f"{mailing.campaign}-{index}"
        local = f"{story if story in _ANSWERS else romaji}-{recipient_id}"
        variables: dict[str, Any] = {"name": name}
        if mailing.kind == "marketing":
            variables |= {"points": chance.randrange(10_000), "items": chance.sample(_ITEMS, 3)}
        else:
            variables["number"] = f"{chance.randrange(10**8):08d}"
        yield _Person(
            mailing=mailing,
            story=story,
            recipient_id=recipient_id,
            address=f"{local}@{mailboxes.domain}",
            variables=variables,
        )


def _stories(mailing: Mailing, total: int) -> list[str]:
    """Each story at least once, `plain` for the rest."""
    shares = MARKETING if mailing.kind == "marketing" else TRANSACTIONAL
    if mailing.short:
        shares = {**shares, "full": FULL_SHARE}
    special = [story for story, share in shares.items() for _ in range(max(1, round(total * share)))]
    return special + ["plain"] * (total - len(special))


def _events_of(story: str) -> int:
    return {"doubled": 2, "capped": EDITIONS}.get(story, 1)


def _event(number: int, person: _Person, nth: int) -> PlannedEvent:
    mailing = person.mailing
    transactional = mailing.kind == "transactional"
    body: dict[str, Any] = {
        "tenant": mailing.tenant,
        "campaign_id": mailing.campaign,
        "recipient_id": person.recipient_id,
        "to": {"channel": "mail", "address": person.address},
        "variables": {"event": number, **person.variables},
        "dedup_key": f"order-{person.recipient_id}" if transactional else None,
    }
    if person.story == "capped":
        body["dedup_key"] = f"edition-{nth}"
    if person.story == "invalid":
        _spoil(body, number)
    text = json.dumps(body, ensure_ascii=False).encode()
    return PlannedEvent(
        number=number,
        campaign=mailing.key,
        kind=mailing.kind,
        story=person.story,
        key=ids.person_key(mailing.tenant, person.recipient_id),
        body=text[: text.index(b'"recipient_id"')] if person.story == "broken" else text,
        expected=_expected(person, nth),
    )


def _spoil(body: dict[str, Any], number: int) -> None:
    """One of the ways in which upstream gets an event wrong, the recipient still being named."""
    match number % 4:
        case 0:
            body["to"]["address"] = "no one@@example"
        case 1:
            del body["to"]
        case 2:
            body["timezone"] = 9
        case _:
            body["to"]["channel"] = "fax"


def _expected(person: _Person, nth: int) -> str | None:
    """The only final outcome that the person's n-th event (from 0) may have."""
    match person.story:
        case "broken":
            return None
        case "unknown":
            expected = "bounced"
        case "full":
            expected = "expired"
        case "drop":
            expected = "uncertain" if person.mailing.on_uncertain == "hold" else "accepted"
        case "suppressed" | "invalid":
            expected = person.story
        case "doubled":
            expected = "duplicate" if nth else "accepted"
        case "capped":
            expected = "accepted" if nth < scene.CAP_MAX else "capped"
        case _:  # plain, greylist, throttle, slow, and who is suppressed for another tenant alone
            expected = "accepted"
    assert expected in FINAL_TYPES  # noqa: S101  # a typo here would look like the engine's fault
    return expected


def _suppressions(person: _Person, at: datetime) -> Iterator[SuppressionRequest]:
    if person.story not in {"suppressed", "elsewhere"}:
        return
    own = person.mailing.tenant
    other = next(sender.tenant for sender in scene.SENDERS if sender.tenant != own)
    everywhere = person.story == "suppressed" and int(person.recipient_id.rpartition("-")[2]) % 2 == 0
    tenant = own if person.story == "suppressed" else other
    yield SuppressionRequest(
        action="add",
        scope="global" if everywhere else f"tenant:{tenant}",
        reason="complaint" if everywhere else "unsubscribe",
        address=person.address,
        source="demo",
        at=at,
    )
