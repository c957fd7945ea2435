"""Who is asked to get what, and which ends each event may have: pure, endless, the same for the same seed.

A person has a story.  The address chooses the receiver's answer (streams.operate.simulator.outcomes), and the story
says the only final outcomes that the events may come to; under `hold` a blow may make any try `uncertain`, and the
audit asks which one did.  People come in groups, so that a run takes as many as its blows leave time for.
"""

import json
import random
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec

from schemas import ids
from schemas.events import Kind, SuppressionRequest
from streams.operate.chaos.edge import scene
from streams.operate.chaos.edge.scene import MAILINGS, Mailing

GROUP: Final = 60
# Events of one person under a cap: two more than it lets through.
EDITIONS: Final = scene.CAP_MAX + 2
# A person who unsubscribes is asked to get a mail in each of so many groups, and says so after the first of them.
LEAVING_GROUPS: Final = 4
# Only the first so many people may be suppressed beforehand: upstream says so before the first mail.
FORESEEN: Final = 12_000

# Story -> its part of the people.  What the address begins with is the story's name where the receiver's answer is it.
SHARES: Final = {
    "plain": 0.62,
    "dropafter": 0.08,
    "stall": 0.04,
    "greylist": 0.05,
    "throttle": 0.02,
    "drop": 0.03,
    "slow": 0.02,
    "unknown": 0.03,
    "spam": 0.02,
    "suppressed": 0.03,
}
# Marketing alone has caps, and unsubscribing.
MARKETING_SHARES: Final = SHARES | {"plain": 0.56, "capped": 0.02, "given-back": 0.02, "leaving": 0.02}
_ANSWERS: Final = frozenset({"dropafter", "stall", "greylist", "throttle", "drop", "slow", "unknown", "spam"})
# What the address of a capped person begins with, in turn: so that retries and stalls are counted under a cap too.
_CAPPED: Final = ("", "greylist-", "stall-")
_SHARE_OF: Final = {"marketing": 0.35, "transactional": 0.15}  # of each campaign


class PlannedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient event, and the final outcomes that it may come to; `number` stands in its body."""

    number: int
    campaign: str
    kind: Kind
    story: str
    person: str  # recipient_id, unique in the run
    address: str
    key: str
    body: bytes
    expected: frozenset[str]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for at once; `leaving` (tenant, address) unsubscribe right after it."""

    events: tuple[PlannedEvent, ...]
    leaving: tuple[tuple[str, str], ...]


class _Person(msgspec.Struct, frozen=True, kw_only=True):
    mailing: Mailing
    story: str
    name: str
    address: str


def groups(seed: int) -> Iterator[Group]:
    """All groups there are."""
    chance = random.Random(seed)  # noqa: S311  # a run's dice, not a secret
    leaving: list[tuple[_Person, int]] = []  # and how many more events each gets
    numbers = iter(range(10**9))
    people = 0
    while True:
        asked: list[tuple[_Person, int]] = []
        new: list[_Person] = []
        for _ in range(GROUP):
            person = _person(chance, people)
            people += 1
            new.append(person)
            asked += [(person, nth) for nth in range(EDITIONS if person.story in {"capped", "given-back"} else 1)]
        asked += [(person, LEAVING_GROUPS - left) for person, left in leaving]
        leaving = [(person, left - 1) for person, left in leaving if left > 1]
        goes = [person for person in new if person.story == "leaving"]
        leaving += [(person, LEAVING_GROUPS - 1) for person in goes]
        chance.shuffle(asked)
        yield Group(
            events=tuple(_event(next(numbers), person, nth) for person, nth in asked),
            leaving=tuple((one.mailing.tenant, one.address) for one in goes),
        )


def barred(seed: int) -> tuple[tuple[str, str], ...]:
    """Who is suppressed beforehand: tenant and address."""
    found: list[tuple[str, str]] = []
    for group in islice(groups(seed), FORESEEN // GROUP):
        found += [(scene.BY_KEY[one.campaign].tenant, one.address) for one in group.events if one.story == "suppressed"]
    return tuple(found)


def request(tenant: str, address: str, at: datetime) -> SuppressionRequest:
    """Upstream's word that a person wants no mail."""
    return SuppressionRequest(
        action="add", scope=f"tenant:{tenant}", reason="unsubscribe", address=address, source="chaos", at=at
    )


def _person(chance: random.Random, number: int) -> _Person:
    (mailing,) = chance.choices(MAILINGS, [_SHARE_OF[one.kind] for one in MAILINGS])
    shares = MARKETING_SHARES if mailing.kind == "marketing" else SHARES
    (story,) = chance.choices(list(shares), list(shares.values()))
    if story == "suppressed" and number >= FORESEEN:
        story = "plain"
    name = f"u{number}"
    word = f"{story}-" if story in _ANSWERS else _CAPPED[number % len(_CAPPED)] if story == "capped" else ""
    return _Person(mailing=mailing, story=story, name=name, address=f"{word}{name}@{scene.MAILBOXES}")


def _event(number: int, person: _Person, nth: int) -> PlannedEvent:
    mailing = person.mailing
    address = person.address
    if person.story == "given-back" and nth == 0:
        address = f"unknown-{address}"
    body: dict[str, Any] = {
        "tenant": mailing.tenant,
        "campaign_id": mailing.campaign,
        "recipient_id": person.name,
        "to": {"channel": "mail", "address": address},
        "variables": {"event": number, "name": person.name},
        "dedup_key": f"edition-{nth}",
    }
    return PlannedEvent(
        number=number,
        campaign=mailing.key,
        kind=mailing.kind,
        story=person.story,
        person=person.name,
        address=address,
        key=ids.person_key(mailing.tenant, person.name),
        body=json.dumps(body, ensure_ascii=False).encode(),
        expected=_expected(person, nth),
    )


def _expected(person: _Person, nth: int) -> frozenset[str]:
    hold = person.mailing.on_uncertain == "hold"
    match person.story:
        case "unknown":
            # A refusal before any intent was durable leaves nothing but its suppression: the next owner finds that.
            ends = {"bounced", "suppressed"}
        case "spam":
            ends = {"bounced"}
        case "suppressed":
            return frozenset({"suppressed"})
        case "dropafter" if hold:
            return frozenset({"uncertain"})
        case "capped":
            ends = {"accepted", "capped"}
        case "given-back":
            ends = {"capped", *(("bounced", "suppressed") if nth == 0 else ("accepted",))}
        case "leaving":
            # Even the first mail may wait for as long as the request takes; the last is above the cap.  Who sends again
            # and can't any more, as the address is suppressed by then, stays with what nobody knows.
            ends = {"accepted", "suppressed", "capped", "uncertain"}
        case _:  # plain, stall, greylist, throttle, slow, drop; and dropafter where it is sent again
            ends = {"accepted"}
    return frozenset(ends | {"uncertain"} if hold else ends)
