"""Quiet hours at the gate: a mail waits for its window, or ends, in its recipient's time; the others go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.gate.builders import NOW, TRANSACTIONAL, Scene

# It is 03:00 in UTC: 12:00 in Tokyo, 22:00 of the day before in New York.
DAY: dict[str, Any] = {"opens": "08:00", "closes": "21:00"}
NEW_YORK_OPENS = NOW + timedelta(hours=10)


def windowed(**window: Any) -> Scene:
    """A campaign with a window of its own."""
    scene = Scene()
    scene.campaign(window=DAY | window)
    return scene


def test_a_mail_goes_in_its_recipients_day_and_waits_for_it_at_night() -> None:
    """The send carries the zone; the waiting event says the hour there and when the person is next eligible."""
    scene = windowed()
    (send,) = scene.ask("tokyo", timezone="Asia/Tokyo").sends
    assert send.timezone == "Asia/Tokyo"
    (event,) = scene.ask("york", timezone="America/New_York").deliveries
    (rule,) = event.rules
    assert (event.type, event.class_, rule.value) == ("waiting", "quiet", "Mon 22:00")
    assert (rule.limit, rule.next_eligible) == ("08:00 to 21:00 in America/New_York", NEW_YORK_OPENS)
    assert scene.desk.next_release(scene.now) == NEW_YORK_OPENS
    scene.now = NEW_YORK_OPENS - timedelta(milliseconds=1)
    assert not scene.release().sends
    scene.now = NEW_YORK_OPENS
    assert [one.recipient_id for one in scene.release().sends] == ["york"]


def test_who_sleeps_holds_up_nobody() -> None:
    """What waited for a pause is put off where its window is shut meanwhile; what is behind it goes."""
    scene = Scene()
    scene.campaign(window=DAY, state="paused")
    for number in range(40):
        scene.later(milliseconds=1)
        scene.ask(f"u{number}", timezone=("America/New_York", "Asia/Tokyo")[number % 2])
    scene.campaign(window=DAY)
    assert {one.recipient_id for one in scene.release().sends} == {f"u{number}" for number in range(1, 40, 2)}
    assert scene.desk.waiting == 20 and scene.restarted().waiting == 20
    scene.now = NEW_YORK_OPENS
    assert len(scene.release().sends) == 20


def test_with_drop_it_expires() -> None:
    """At once where it could go otherwise; under a pause it waits for that first."""
    scene = windowed(outside="drop")
    (final,) = scene.ask("york", timezone="America/New_York").finals
    assert (final.type, final.class_, final.rules[0].next_eligible) == ("expired", "quiet", None)
    scene.campaign(window=DAY | {"outside": "drop"}, state="paused")
    assert scene.ask("york", timezone="America/New_York").types == ["waiting"]
    scene.campaign(window=DAY | {"outside": "drop"})
    assert [one.type for one in scene.release().finals] == ["expired"]


def test_a_tenants_window_is_for_marketing_and_a_campaigns_own_for_all() -> None:
    """A reset of a password goes at night, unless its own campaign says otherwise; a campaign's word is first."""
    scene = Scene()
    scene.tenant(timezone="America/New_York", window=DAY)
    scene.campaign("reset", kind="transactional")
    scene.campaign("any", window={"opens": "00:00", "closes": "00:00"})
    assert scene.ask("m").deliveries[0].class_ == "quiet"
    assert scene.ask("tokyo", timezone="Asia/Tokyo").sends
    assert scene.ask("a", campaign_id="any").sends
    reset: dict[str, Any] = {"campaign_id": "reset", "topic": TRANSACTIONAL}
    assert scene.ask("r", dedup_key="1", **reset).sends
    scene.campaign("reset", kind="transactional", window=DAY)
    assert scene.ask("r", dedup_key="2", **reset).deliveries[0].class_ == "quiet"


def test_a_retry_waits_for_the_window_too() -> None:
    """Due at night: put off until the window opens, on its own IP still."""
    scene = windowed()
    (send,) = scene.ask(timezone="Asia/Tokyo").sends
    scene.give("retry", send, due_s=10 * 3600)
    scene.later(hours=10)
    assert not scene.release().sends and scene.desk.waiting == 1
    scene.now = NOW + timedelta(hours=20)
    (again,) = scene.release().sends
    assert (again.deal, again.slot, again.weights_version) == (2, send.slot, 0)


def test_a_window_that_opens_too_late_ends_the_mail_in_time() -> None:
    """Its term is up before: expired then, not in the morning."""
    scene = Scene(marketing_expire_s=3600.0)
    scene.campaign(window=DAY)
    scene.ask(timezone="America/New_York")
    assert scene.desk.next_release(scene.now) == NOW + timedelta(hours=1)
    scene.later(hours=1)
    assert [one.type for one in scene.release().finals] == ["expired"]


@pytest.mark.parametrize("name", ["Asia/Tokio", "../etc/passwd", "Asia/Tokyo\n", "x" * 80])
def test_a_zone_that_there_is_not_is_invalid_and_named(name: str) -> None:
    """Window or not: the field, what it says, and what would do."""
    (final,) = Scene().ask(timezone=name).finals
    (rule,) = final.rules
    plain = name.isprintable() and len(name) <= 64
    assert (final.type, rule.rule, rule.limit) == ("invalid", "timezone", "an IANA time zone, such as Asia/Tokyo")
    assert rule.value == (name if plain else f"text of {len(name)} characters")


def test_a_tenants_zone_that_there_is_not_matters_where_a_window_needs_it() -> None:
    """Named as the tenant's; who has a zone of their own goes."""
    scene = Scene()
    scene.tenant(timezone="Mars/Olympus")
    assert scene.ask("a").sends
    scene.tenant(timezone="Mars/Olympus", window=DAY)
    (final,) = scene.ask("b").finals
    assert (final.type, final.class_) == ("invalid", "tenant.timezone")
    assert scene.ask("c", timezone="Asia/Tokyo").sends


def test_who_sleeps_is_no_demand() -> None:
    """A mail that waits for the morning draws no credit."""
    scene = windowed()
    scene.ask(timezone="America/New_York")
    assert scene.desk.demand(scene.now) is None
