"""A world that one thread writes while others read it."""

import json
from typing import Any

from schemas import ids
from streams.views import World

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


def test_a_slot_closed_while_the_pool_is_counted_stays_closed() -> None:
    """The writing thread closes a slot in the middle of a reader's count; the next reader sees it closed."""
    world = World()
    for slot in range(3):
        world.apply("egress", str(slot), _egress(slot))

    class Interrupted(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            if key == "slot/2" and world.egress["1"].state == "active":
                world.apply("egress", "1", _egress(1, state="drained"))
                world.apply("egress", "3", _egress(3))  # and one more: a reader must not trip over it
            return super().get(key, default)

    world.controls = Interrupted()
    assert [slot for slot, _ in world.slots("shared")] == [0, 1, 2]
    assert [slot for slot, _ in world.slots("shared")] == [0, 2, 3]


def test_a_campaign_that_is_gone_leaves_nothing_behind() -> None:
    """A tombstone frees what was remembered of the campaign, too."""
    world = World()
    world.apply("campaigns", "acme:autumn", _json(CAMPAIGN))
    world.content_version(world.campaigns["acme:autumn"])
    world.apply("campaigns", "acme:autumn", None)
    assert (world.campaigns, world._shapes, world._versions) == ({}, {}, {})


def _egress(slot: int, state: str = "active") -> bytes:
    return _json({"slot": slot, "via": {"kind": "bind", "address": "127.0.0.2"}, "ehlo": "m.example", "state": state})


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()
