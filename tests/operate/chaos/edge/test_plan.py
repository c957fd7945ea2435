"""What is done, and to whom mail goes: the same for the same seed, and all of it there."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from schemas import ids
from schemas.events import FINAL_TYPES
from streams.operate.chaos.edge import people, plan, scene
from streams.operate.chaos.edge.plan import POINTS, Plan


def made(*, seed: int = 1, kills: int = 8) -> Plan:
    """A plan with some of everything."""
    return plan.make(seed=seed, kills=kills, stops=3, broker_kills=2, session_timeout_s=6.0)


def test_the_same_seed_the_same_blows() -> None:
    """And another seed others."""
    assert made() == made()
    assert made() != made(seed=2)


@pytest.mark.parametrize("kills", [8, 100])
def test_each_point_in_turn(kills: int) -> None:
    """Points as often as each other, the warehouse's own to the warehouse, the rest shared by the senders."""
    planned = made(kills=kills)
    points = Counter(kill.point for lane in planned.kills.values() for kill in lane)
    assert points.keys() == set(POINTS) and max(points.values()) - min(points.values()) <= 1
    assert {kill.point for kill in planned.kills[plan.WAREHOUSE]} == {"mid-insert"}
    first, second = (len(planned.kills[name]) for name in plan.SENDERS)
    assert abs(first - second) <= 1
    assert planned.blows == kills + 3 + 2


def test_away_for_longer_than_a_session() -> None:
    """Some of many kills leave the member away, and the broker is away for longer once, at the end."""
    planned = made(kills=48)
    aways = [kill.away_s for lane in planned.kills.values() for kill in lane if kill.away_s]
    assert len(aways) >= 4 and min(aways) > 6.0
    assert [one.away_s for one in planned.broker] == [0.0, plan.AWAY_S]
    assert not any(kill.away_s for lane in made(kills=8).kills.values() for kill in lane)


def test_people_are_the_same_again_and_each_story_is_there() -> None:
    """1,200 people of one seed: the same twice, every story, every campaign, numbers without a gap, real ends."""
    events = [one for group in islice(people.groups(1), 20) for one in group.events]
    assert events == [one for group in islice(people.groups(1), 20) for one in group.events]
    assert {one.story for one in events} == people.MARKETING_SHARES.keys()
    assert {one.campaign for one in events} == scene.BY_KEY.keys()
    assert [one.number for one in events] == list(range(len(events)))
    assert all(one.expected and one.expected <= FINAL_TYPES for one in events)
    assert len({(one.key, one.body) for one in events}) == len(events)


def test_who_holds_may_be_uncertain_and_who_resends_not() -> None:
    """But for those who were suppressed beforehand, or are before a mail in doubt can be sent again."""
    for event in (one for group in islice(people.groups(2), 20) for one in group.events):
        hold = scene.BY_KEY[event.campaign].on_uncertain == "hold"
        may = event.story == "leaving" or (hold and event.story != "suppressed")
        assert ("uncertain" in event.expected) == may, event


def test_who_leaves_is_asked_again() -> None:
    """In as many groups as are said, the first of them before the request."""
    groups = list(islice(people.groups(3), 12))
    leaves = [(at, who) for at, group in enumerate(groups[:8]) for who in group.leaving]
    assert leaves
    for at, (_, address) in leaves:
        there = [number for number, group in enumerate(groups) for one in group.events if one.address == address]
        assert there == list(range(at, at + people.LEAVING_GROUPS))


def test_the_suppressed_are_known_beforehand() -> None:
    """Each person with that story, by tenant and canonical address, whatever group it comes in."""
    barred = set(people.barred(1))
    events = [one for group in islice(people.groups(1), 30) for one in group.events if one.story == "suppressed"]
    assert events
    for event in events:
        tenant = scene.BY_KEY[event.campaign].tenant
        assert (tenant, event.address) in barred
        assert ids.canonical_address(event.address) == event.address
