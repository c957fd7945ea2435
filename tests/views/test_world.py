"""A world that one thread writes while others read it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas import ids
from schemas.events import Control
from streams.spread.weights import Target
from streams.views import BadRecordError, World

NOW = datetime(2026, 12, 1, 4, 0, tzinfo=UTC)

CAMPAIGN: dict[str, Any] = {
    "tenant": "acme",
    "campaign_id": "autumn",
    "kind": "marketing",
    "from": {"address": "news@acme.example"},
    "subject": "Hello",
    "html": "<p>Hello</p>",
}


def test_an_edit_does_not_lend_its_version_to_the_words_before_it() -> None:
    """Who took a campaign before an edit gets the version of what it took: no content stands under another's."""
    world = World()
    world.apply("campaigns", "acme:autumn", _json(CAMPAIGN))
    taken = world.campaigns["acme:autumn"]
    world.apply("campaigns", "acme:autumn", _json(CAMPAIGN | {"subject": "Good-bye"}))
    edited = world.campaigns["acme:autumn"]
    assert world.content_version(taken) == ids.content_version(ids.campaign_shape(taken), None)
    assert world.content_version(edited) == ids.content_version(ids.campaign_shape(edited), None)
    assert world.content_version(taken) != world.content_version(edited)


@pytest.mark.parametrize(
    "topic",
    ["tenants", "campaigns", "contents", "controls", "egress", "conditions", "leases", "demands", "warmups", "domains"],
)
def test_brackets_without_end_are_a_bad_record(topic: str) -> None:
    """A few KB of them, in a field that nobody knows, are beyond a decoder's depth; the last good value stays."""
    world = World()
    world.apply("campaigns", "acme:autumn", _json(CAMPAIGN))
    deep = _json(CAMPAIGN)[:-1] + b',"unknown":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    with pytest.raises(BadRecordError):
        world.apply(topic, "acme:autumn", deep)
    assert world.campaigns["acme:autumn"].subject == "Hello"


def test_a_slot_beyond_the_deployments_is_a_bad_record() -> None:
    """Nobody would ever own its sends; the last slot is taken."""
    world = World(slots=64)
    world.apply("egress", "63", _egress(63))
    with pytest.raises(BadRecordError, match=r"slot 64: expected less than kafka\.slots = 64"):
        world.apply("egress", "64", _egress(64))
    assert [slot for slot, _ in world.slots("shared", NOW)] == [63]


def test_a_slot_closed_while_the_pool_is_counted_stays_closed() -> None:
    """The writing thread closes a slot in the middle of a reader's count; the next reader sees it closed."""
    world = World()
    for slot in range(3):
        world.apply("egress", str(slot), _egress(slot))

    controls_on = world.controls_on

    def interrupted(target: Target, key: str) -> tuple[Control, ...]:
        if key == "2" and world.egress["1"].state == "active":
            world.apply("egress", "1", _egress(1, state="drained"))
            world.apply("egress", "3", _egress(3))  # and one more: a reader must not trip over it
        return controls_on(target, key)

    world._weighing._controls_on = interrupted  # where a reader can be met half way
    assert [slot for slot, _ in world.slots("shared", NOW)] == [0, 1, 2]
    assert [slot for slot, _ in world.slots("shared", NOW)] == [0, 2, 3]


def test_what_everybody_says_on_a_campaign_counts_and_the_strictest_wins() -> None:
    """An operator's word and each rule's stand side by side; taking one back leaves the others."""
    world = World()
    world.apply("campaigns", "acme:autumn", _json(CAMPAIGN))
    campaign = world.campaigns["acme:autumn"]
    _control(world, "campaign", "acme:autumn", state="paused")
    _control(world, "campaign", "acme:autumn", state="paused", by="automation:fuse")
    _control(world, "tenant", "acme", state="cancelled", by="automation:gone", until=NOW + timedelta(hours=1))
    assert world.campaign_state(campaign, NOW) == "cancelled"
    assert world.campaign_state(campaign, NOW + timedelta(hours=1)) == "paused", "its time is up, whoever removes it"
    world.apply("controls", "campaign/acme:autumn", None)
    assert world.campaign_state(campaign, NOW + timedelta(hours=1)) == "paused"
    world.apply("controls", "campaign/acme:autumn@fuse", None)
    assert world.campaign_state(campaign, NOW + timedelta(hours=1)) == "running"
    assert world.controls_on("campaign", "acme:autumn") == ()


def test_who_is_slowed_is_not_stopped() -> None:
    """`slow_to` leaves campaign, tenant and slot at work; the smallest part of those that stand is what is left.

    A slot has that part of its share as well, so that it counts where nobody knows a rate.
    """
    world = World()
    world.apply("campaigns", "acme:autumn", _json(CAMPAIGN))
    world.apply("egress", "1", _egress(1))
    _control(world, "tenant", "acme", slow_to=0.5)
    _control(world, "slot", "1", slow_to=0.5)
    _control(world, "slot", "1", provider="gmail", slow_to=0.25, by="automation:throttled")
    assert world.campaign_state(world.campaigns["acme:autumn"], NOW) == "running"
    assert world.slot_closed(1, "gmail", NOW) == ""
    assert world.weights("shared", "gmail", NOW) == ((1, 0.25),)
    assert world.weights("shared", "docomo", NOW) == ((1, 0.5),)
    assert world.slow_to("slot", "1", "gmail", NOW) == 0.25
    assert world.slow_to("slot", "1", "docomo", NOW) == 0.5
    assert world.slow_to("tenant", "acme", "gmail", NOW) == 0.5
    assert world.slow_to("slot", "2", "gmail", NOW) == 1.0


def test_a_tenant_paused_at_one_provider_goes_on_at_the_others() -> None:
    """The control is narrowed by its provider."""
    world = World()
    world.apply("campaigns", "acme:autumn", _json(CAMPAIGN))
    _control(world, "tenant", "acme", provider="gmail")
    campaign = world.campaigns["acme:autumn"]
    assert [world.campaign_state(campaign, NOW, one) for one in ("gmail", "docomo", "")] == [
        "paused",
        "running",
        "running",
    ]


def test_a_slot_is_closed_for_whom_it_is_said_to_be() -> None:
    """Its egress entry closes it for all, a control for all or for one provider, until its time is up."""
    world = World()
    for slot in range(3):
        world.apply("egress", str(slot), _egress(slot, state="drained" if slot == 2 else "active"))
    _control(world, "slot", "0", provider="gmail", until=NOW + timedelta(minutes=5), reason="550 5.7.1")
    _control(world, "slot", "1")
    assert world.slot_closed(0, "gmail", NOW) == "suspended by operator: 550 5.7.1"
    assert world.slot_closed(0, "docomo", NOW) == ""
    assert world.slot_closed(0, "gmail", NOW + timedelta(minutes=5)) == ""
    assert world.slot_closed(1, "docomo", NOW) == "suspended by operator"
    assert world.slot_closed(2, "docomo", NOW) == "egress state is drained"
    assert world.slot_closed(7, "docomo", NOW) == "no egress entry"


def test_a_domain_resolved_to_a_provider_is_known_until_it_is_taken_back() -> None:
    """`providers` follows `domains`."""
    world = World()
    found = {"domain": "shop.example", "provider": "gmail", "hosts": ["aspmx.l.google.example"], "at": _text(NOW)}
    world.apply("domains", "shop.example", _json(found))
    assert world.providers == {"shop.example": "gmail"}
    world.apply("domains", "shop.example", None)
    assert world.providers == {}


def test_a_campaign_that_is_gone_leaves_nothing_behind() -> None:
    """A tombstone frees what was remembered of the campaign, too."""
    world = World()
    world.apply("campaigns", "acme:autumn", _json(CAMPAIGN))
    world.content_version(world.campaigns["acme:autumn"])
    world.apply("campaigns", "acme:autumn", None)
    assert (world.campaigns, world._shapes, world._versions) == ({}, {}, {})


def _egress(slot: int, state: str = "active") -> bytes:
    return _json({"slot": slot, "via": {"kind": "bind", "address": "127.0.0.2"}, "ehlo": "m.example", "state": state})


def _control(world: World, target: str, key: str, *, state: str = "suspended", **fields: Any) -> None:
    event = {"target": target, "key": key, "state": state, "by": "operator", "reason": "", "at": _text(NOW)} | fields
    if "until" in fields:
        event["until"] = _text(fields["until"])
    name = f"{target}/{key}" + (f"/{fields['provider']}" if "provider" in fields else "")
    _, _, rule = event["by"].partition(":")
    world.apply("controls", name + (f"@{rule}" if rule else ""), _json(event))


def _text(moment: datetime) -> str:
    return moment.isoformat()


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()
