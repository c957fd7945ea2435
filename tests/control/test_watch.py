"""All of it together: deliveries in; firings, volumes and ended controls out; a takeover repeats nothing."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from schemas import ids
from schemas.events import Control, Demand, Volume
from streams.control.automation import Automation
from streams.control.coming import waiting
from streams.control.firing import Firing
from streams.control.history import History
from streams.control.loading import load
from streams.control.surge import Waiting
from streams.control.volumes import recount_from
from streams.control.watch import Watch, over, standing, untold
from streams.views import World
from tests.control.builders import HOUR, NOW, TERMS, a_rule, at, delivery, refused

NOBODY = Waiting(tenants={}, providers={})
BLOCK: dict[str, Any] = {
    "type": "bounced",
    "class_": "policy",
    "smtp_code": 550,
    "reply": "Client host rejected: blocked using zen.spamhaus.org",
}


def a_watch(history: History | None = None, *, seconds: float = 0) -> Watch:
    """One that took over so many seconds after NOW."""
    history = history or History(TERMS)
    since = recount_from(history.latest, at(seconds), TERMS, at_most=timedelta(days=1))
    return Watch(load(None), history, since=since, now=at(seconds))


def fed(watch: Watch, seconds: float, **fields: Any) -> list[Firing]:
    """What one delivery fires."""
    body = msgspec.json.encode(delivery(at=at(seconds), **fields))
    return watch.take(body, at(seconds).timestamp())


def blocked() -> Firing:
    """What three blocks fire."""
    watch = a_watch()
    (firing,) = [one for second in range(3) for one in fed(watch, second, **BLOCK)]
    return firing


def test_a_blocked_ip_is_dealt_around_for_an_hour() -> None:
    """Accepted mail, then three blocks by our own rules: one firing, for that IP and provider alone."""
    watch = a_watch()
    for second in range(500):
        assert fed(watch, second) == []
    firings = [firing for second in (500, 501, 502, 503) for firing in fed(watch, second, **BLOCK)]
    assert [(one.incident.rule, one.incident.key, one.incident.until) for one in firings] == [
        ("blocked-ip", "3/gmail", at(502) + HOUR)
    ]


def test_what_is_no_delivery_is_counted_and_stops_nothing() -> None:
    """Bytes, another event, a tombstone, a time without a zone, brackets without end."""
    watch = a_watch()
    zoneless = b'{"tenant":"a","campaign_id":"c","provider":"gmail","type":"accepted","at":"2026-12-01T05:00:00"}'
    for value in (b"\xff", b"{}", None, b'{"tenant": 3}', zoneless, b'{"unknown":' + b"[" * 5_000):
        assert watch.take(value, NOW.timestamp()) == []
    assert watch.unreadable == 6


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_at_the_calendars_end_stops_nothing(at: str) -> None:
    """In a delivery, an incident or a volume it is a broken clock's: it is passed over, and what comes next counts."""
    when = datetime.fromisoformat(at)
    firing, history = blocked(), History(TERMS)
    volume = Volume(
        scope="tenant", key="acme", begins_at=when, span_s=3_600, attempts=1, accepted=1, bounced=0, deferred=0,
        complained=0,
    )  # fmt: skip
    history.put(volume)
    assert history.latest is None
    watch = a_watch(history)
    watch.remember(msgspec.structs.replace(firing.incident, at=when))
    for _ in range(5):
        assert watch.take(msgspec.json.encode(delivery(at=when, **BLOCK)), NOW.timestamp()) == []
    assert watch.unreadable == 5
    assert len([one for second in range(3) for one in fed(watch, second, **BLOCK)]) == 1


def test_a_takeover_with_what_was_told_fires_nothing_and_counts_the_same() -> None:
    """The successor reads the same deliveries behind the incidents and volumes of the first."""
    history = History(TERMS)
    first = a_watch(history)
    firings = [one for second in range(100) for one in fed(first, second, **BLOCK)]
    published = {(one.scope, one.key): one for one in first.changed()}
    successor = a_watch(history, seconds=120)
    for firing in firings:
        successor.remember(firing.incident)
    assert [one for second in range(100) for one in fed(successor, second, **BLOCK)] == []
    assert {(one.scope, one.key): one for one in successor.changed()} == published


def test_what_is_older_than_every_window_is_counted_alone() -> None:
    """Blocks of two hours ago are figures, and nothing to act on now."""
    watch = a_watch(seconds=2 * 3600)
    assert [one for second in range(10) for one in fed(watch, second, **BLOCK)] == []
    assert next(watch.changed()).attempts == 10


def test_a_look_tells_of_fuses_and_of_each_once() -> None:
    """60 dead addresses of 1,060 mails: paused at the next look, and not at the one after."""
    watch = a_watch()
    for number in range(1_060):
        dead = {"type": "bounced", "class_": "user_unknown"} if number % 20 == 0 or number < 10 else {}
        fed(watch, number / 10, slot=number % 16, provider=f"p{number % 30}", **dead)
    (firing,) = watch.look(NOBODY, at(200))
    assert (firing.incident.rule, firing.incident.key) == ("tenant-bounces", "acme")
    fed(watch, 201, type="bounced", class_="user_unknown")
    assert watch.look(NOBODY, at(210)) == []


def test_only_automations_controls_are_ended() -> None:
    """An operator's control with the same target, also one that is over, is nobody's business."""
    firing = blocked()
    assert firing.control is not None
    mine = firing.control
    theirs = msgspec.structs.replace(mine, by="operator")
    controls = {ids.control_key(one): one for one in (mine, theirs)}
    assert len(controls) == 2
    assert over(controls, at(3)) == []
    assert over(controls, at(2) + HOUR) == ["slot/3/gmail@blocked-ip"]


def test_an_incident_that_a_crash_kept_from_being_written_is_told_from_its_control() -> None:
    """Once, and not of a control that is a day old: the topic may have let its incident go."""
    firing = blocked()
    assert firing.control is not None
    controls: dict[str, Control] = {"slot/3/gmail@blocked-ip": firing.control}
    (made,) = untold(controls, set(), at(60))
    assert made.incident_id == firing.incident.incident_id
    assert untold(controls, {made.incident_id}, at(60)) == []
    assert untold(controls, set(), at(3 * 86_400)) == []


def test_a_control_in_automations_name_that_no_rule_makes_stops_nobody() -> None:
    """Somebody wrote it by hand, for a campaign at one provider: it has no incident, and whoever takes over goes on."""
    firing = blocked()
    assert firing.control is not None
    strange = msgspec.structs.replace(firing.control, target="campaign", key="acme:autumn")
    assert untold({"any": strange}, set(), at(60)) == []


def test_what_a_late_reader_finds_is_told_without_a_control() -> None:
    """Its time would be up already."""
    firing = blocked()
    assert standing(firing, at(60)) is firing
    late = standing(firing, at(2) + HOUR)
    assert late.control is None
    assert late.incident is firing.incident


def test_what_is_coming_is_what_fresh_demands_say() -> None:
    """A gate that told nothing for ten seconds is gone; of a paced campaign only its pace comes until the hour ends."""
    demands = [
        Demand(
            gate_partition=number,
            at=at(-9),
            capacity={"shared/gmail": 100, "other-pool/gmail": 10},
            tenants={"acme": 1_000, "sakura": 5},
            paces={"acme:slow": 900},
        )
        for number in range(2)
    ]
    gone = Demand(gate_partition=2, at=at(-11), tenants={"acme": 7})
    ahead = Demand(gate_partition=3, at=at(11), tenants={"acme": 7})  # its clock ran ahead
    found = waiting([*demands, gone, ahead], {"acme:slow": 0.1}, now=NOW, ends=NOW + HOUR)
    assert found.providers == {"gmail": 220}
    assert found.tenants == {"acme": 2_000 - 1_800 + 360, "sakura": 10}


def test_a_pace_beyond_all_measure_stops_no_watch() -> None:
    """All that waits of such a campaign comes within the hour."""
    demand = Demand(gate_partition=0, at=NOW, tenants={"acme": 5}, paces={"acme:autumn": 5})
    assert waiting([demand], {"acme:autumn": 1e308}, now=NOW, ends=NOW + HOUR).tenants == {"acme": 5}


def test_a_republished_campaign_does_not_undo_a_pause() -> None:
    """Upstream says its campaign again, running: it stays paused until the control is over, then runs by itself."""
    automation = Automation([a_rule(scope="campaign", action="pause_campaign")])
    (firing,) = [one for second in range(3) for one in automation.see(refused(second))]
    assert firing.control is not None
    world = World()
    world.apply("controls", ids.control_key(firing.control), msgspec.json.encode(firing.control))
    for subject in ("first", "edited"):
        body = {
            "tenant": "acme",
            "campaign_id": "autumn",
            "kind": "marketing",
            "from": {"address": "news@acme.example"},
            "subject": subject,
            "state": "running",
        }
        world.apply("campaigns", "acme:autumn", msgspec.json.encode(body))
        campaign = world.campaigns["acme:autumn"]
        assert world.campaign_state(campaign, at(60)) == "paused"
        assert world.campaign_state(campaign, at(2) + HOUR) == "running"
