"""What CONTROL is told of what waits: counts of what credit alone holds, when they change, and never in a stream."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from streams.gate.demand import SEEN
from tests.gate.builders import TRANSACTIONAL, Scene

DOMAINS = {"docomo.example": "docomo", "gmail.example": "gmail"}


def short() -> Scene:
    """A pool of which nothing is granted."""
    scene = Scene(providers=DOMAINS)
    scene.lease(per_pool_s={"shared": 0.0})
    return scene


def ask(scene: Scene, mails: int, domain: str = "docomo.example", **fields: Any) -> None:
    """So many mails."""
    for number in range(mails):
        scene.ask(f"u{number}@{domain}", to={"address": f"u{number}@{domain}"}, **fields)


def test_it_counts_by_pool_and_provider_campaign_and_tenant() -> None:
    """What a pause, a start or a missing pool holds is in none of them."""
    scene = short()
    scene.tenant("other")
    scene.campaign("theirs", tenant="other")
    scene.campaign("paced", pace_per_s=1.0)
    scene.campaign("paused", state="paused")
    scene.campaign("late", start_at=scene.now + timedelta(hours=1))
    scene.campaign("nowhere", pool="nopool")
    ask(scene, 3)
    ask(scene, 2, "gmail.example", tenant="other", campaign_id="theirs")
    ask(scene, 20, campaign_id="paced")
    for name in ("paused", "late", "nowhere", "unknown"):
        ask(scene, 5, campaign_id=name)
    found = scene.desk.demand(scene.now)
    assert found is not None and found.gate_partition == 0 and found.at == scene.now
    assert found.capacity == {"shared/docomo": 3 + 11, "shared/gmail": 2}, "of the paced, what ten seconds let go"
    assert (found.paces, found.tenants) == ({"acme:paced": 20}, {"acme": 23, "other": 2})


def test_transactional_mail_under_a_pace_asks_for_pace_alone() -> None:
    """It needs no capacity."""
    scene = short()
    scene.campaign("slow", kind="transactional", pace_per_s=1.0)
    for number in range(4):
        scene.ask(f"u{number}", campaign_id="slow", dedup_key="1", topic=TRANSACTIONAL)
    found = scene.desk.demand(scene.now)
    assert found is not None and (found.capacity, found.paces) == ({}, {"acme:slow": 4})


def test_a_pace_beyond_all_measure_stops_nobody() -> None:
    """Ten seconds of it are more than a float holds."""
    scene = short()
    scene.campaign("fast", pace_per_s=1e308)
    scene.lease({"acme:fast": 1e308}, per_pool_s={"shared": 1e308}, capacity_per_s={"shared/docomo": 0.0})
    ask(scene, 5, campaign_id="fast")
    found = scene.desk.demand(scene.now)
    assert found is not None and found.capacity == {"shared/docomo": 5}
    scene.lease({"acme:fast": 1e308}, per_pool_s={"shared": 1e308})
    scene.later(seconds=100)
    first = len(scene.release().sends)
    scene.later(seconds=1)
    assert first + len(scene.release().sends) == 5 and scene.desk.next_release(scene.now) is None


def test_what_came_back_counts_when_it_is_due() -> None:
    """A greylisted mail asks for nothing meanwhile; of many, some."""
    scene = Scene()
    sends = [scene.ask(f"u{number}").sends[0] for number in range(SEEN + 30)]
    for send in sends:
        scene.give("retry", send, due_s=300)
    scene.lease(per_pool_s={"shared": 0.0})
    assert scene.desk.demand(scene.now) is None
    scene.later(seconds=300)
    found = scene.desk.demand(scene.now)
    assert found is not None and found.capacity == {"shared/other": SEEN}


def test_it_is_told_when_it_changed_and_each_two_seconds_while_there_is_any() -> None:
    """Once a second at most; its end once; of nothing, nothing."""
    scene = short()
    told = []
    for tenth in range(100):
        if tenth == 15:
            ask(scene, 1)
        if tenth == 62:
            scene.campaign(state="cancelled")
            scene.release()
        found = scene.desk.demand(scene.now)
        if found is not None:
            told.append((tenth, found.capacity))
        scene.later(milliseconds=100)
    waits = {"shared/docomo": 1}
    assert told == [(20, waits), (40, waits), (60, waits), (70, {})]


def test_a_clock_that_is_set_back_does_not_silence_it() -> None:
    """It is told by whatever clock there is."""
    scene = short()
    ask(scene, 1)
    assert scene.desk.demand(scene.now) is not None
    scene.later(hours=-1)
    assert scene.desk.demand(scene.now) is not None
