"""The plan: the same for the same seed, and its expectations follow from what stands in the events."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import ids
from schemas.events import Recipient
from streams.gate.decode import Broken, read_recipient
from streams.gate.drafts import draft
from streams.gate.terms import DeskSettings, Source
from streams.operate.demo import plan, scene
from streams.operate.demo.plan import Plan, PlannedEvent
from streams.operate.simulator.outcomes import ACCEPT, outcome_for
from streams.spread.providers import PROVIDERS

AT = datetime(2026, 11, 24, tzinfo=UTC)
SMALL = plan.make(plan.LEAST, seed=1, at=AT)


def recipient(event: PlannedEvent) -> Recipient:
    """The event as the gate reads it."""
    found = read_recipient(event.body)
    assert isinstance(found, Recipient)
    return found


def faults(event: PlannedEvent) -> int:
    """What the gate finds wrong with a whole event."""
    source = Source(topic=f"recipients.{event.kind}", partition=0, offset=0)
    return len(draft(recipient(event), source, 0, AT, DeskSettings(address_key=b"k" * 32), rolled_up={})[1])


def test_the_same_seed_is_the_same_plan() -> None:
    """Byte for byte; another seed is another plan."""
    assert plan.make(plan.LEAST, seed=1, at=AT) == SMALL
    assert plan.make(plan.LEAST, seed=2, at=AT) != SMALL


def test_even_a_small_plan_tells_every_story() -> None:
    """Each campaign has somebody of each story that its kind knows, and somebody plain; the short one has full ones."""
    stories: dict[str, set[str]] = defaultdict(set)
    for event in SMALL.events:
        stories[event.campaign].add(event.story)
    for mailing in scene.MAILINGS:
        wanted = set(plan.MARKETING if mailing.kind == "marketing" else plan.TRANSACTIONAL) | {"plain"}
        assert stories[mailing.key] == wanted | ({"full"} if mailing.short else set())


@given(people=st.integers(plan.LEAST, 5000), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_the_parts_are_the_whole(people: int, seed: int) -> None:
    """As many persons as were asked for, each event numbered once."""
    made = plan.make(people, seed=seed, at=AT)
    assert abs(len({event.key for event in made.events}) - people) <= len(scene.MAILINGS)
    assert sorted(event.number for event in made.events) == list(range(len(made.events)))


def test_an_address_asks_the_simulator_for_its_story() -> None:
    """The receiver's answer is the story where the story is the receiver's; elsewhere it accepts."""
    asked = {"greylist", "unknown", "full", "slow", "throttle", "drop"}
    for event in SMALL.events:
        if event.story not in {"invalid", "broken"}:
            found = outcome_for(recipient(event).to.address)
            assert found.name == (event.story if event.story in asked else ACCEPT.name)


def test_what_is_to_be_invalid_is_invalid_to_the_gate_and_nothing_else() -> None:
    """Each such event has names and a fault; a broken one names nobody; the rest is without fault."""
    for event in plan.make(3000, seed=3, at=AT).events:
        read = read_recipient(event.body)
        if event.story == "broken":
            assert isinstance(read, Broken) and read.names is None and event.expected is None
        elif event.story == "invalid":
            assert event.expected == "invalid"
            assert (isinstance(read, Broken) and read.names is not None) or faults(event)
        else:
            assert isinstance(read, Recipient) and not faults(event)


@pytest.mark.parametrize(
    ("story", "expected"),
    [("doubled", ["accepted", "duplicate"]), ("capped", ["accepted"] * 3 + ["capped"] * 2)],
)
def test_a_person_of_several_events_gets_the_first(story: str, expected: list[str]) -> None:
    """In the order in which they are asked for; doubled events are one mail, editions several."""
    events: dict[str, list[PlannedEvent]] = defaultdict(list)
    for event in SMALL.events:
        if event.story == story:
            events[event.key].append(event)
    for person in events.values():
        assert [event.expected for event in person] == expected
        mails = {ids.send_id(recipient(event)) for event in person}
        assert len(mails) == (1 if story == "doubled" else plan.EDITIONS)


def test_an_unheard_reply_is_held_or_sent_again_as_the_campaign_says() -> None:
    """`drop` is uncertain where the campaign holds, accepted where it sends again."""
    for event in SMALL.events:
        if event.story == "drop":
            held = scene.BY_KEY[event.campaign].on_uncertain == "hold"
            assert event.expected == ("uncertain" if held else "accepted")


def barred_by_requests(made: Plan) -> set[tuple[str, str]]:
    """Who must get nothing, from the requests alone: an address's tenant is in its event."""
    scopes = {ids.canonical_address(request.address): request.scope for request in made.suppressions}
    found = set()
    for event in made.events:
        if event.story in {"invalid", "broken"}:
            continue
        address = ids.canonical_address(recipient(event).to.address)
        if scopes.get(address) in {"global", f"tenant:{recipient(event).tenant}"}:
            found.add((recipient(event).tenant, address))
    return found


def test_who_is_barred_follows_from_the_requests() -> None:
    """A request for another tenant bars nobody; both scopes and both kinds of persons occur."""
    assert barred_by_requests(SMALL) == set(SMALL.barred)
    stories = Counter(event.story for event in SMALL.events)
    assert len(SMALL.suppressions) == stories["suppressed"] + stories["elsewhere"]
    assert {request.scope.partition(":")[0] for request in SMALL.suppressions} == {"global", "tenant"}


def test_domains_have_the_providers_that_the_product_knows() -> None:
    """Dealing counts by the closed list; two domains are nobody's."""
    assert set(scene.PROVIDERS.values()) <= PROVIDERS
    assert len(scene.MAILBOXES) - len(scene.PROVIDERS) == 2
    assert sum(one.share for one in scene.MAILBOXES) == pytest.approx(1.0)
    assert sum(mailing.share for mailing in scene.MAILINGS) == pytest.approx(1.0)


def test_a_body_names_its_event() -> None:
    """The number in the body finds the event again in Kafka."""
    for event in SMALL.events:
        if event.expected is not None:
            assert json.loads(event.body)["variables"]["event"] == event.number
