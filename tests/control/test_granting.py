"""What follows for the gates from the slots' queues, the providers' limits and the campaigns' paces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import topics
from streams.control.granting import EASED, EASED_ABOVE_S, KEPT_S, Granting
from streams.delivery.shaping import load
from streams.spread.leases import Grants
from streams.spread.window import AIM_S, STANDS_S, START_PER_S, START_SENDS, Queue
from streams.views import World

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LIMITS = """
[provider.gmail]
messages_per_s = 10
[provider.yahoo]
messages_per_s = "none"
"""


class Pool:
    """Two slots of the shared pool, one of another, and a granting over them."""

    def __init__(self, tmp_path: Path) -> None:
        shaping = tmp_path / "shaping.toml"
        shaping.write_text(LIMITS)
        self.world = World()
        self.clock = 0.0
        for slot, pool in ((1, "shared"), (2, "shared"), (3, "own")):
            via = {"kind": "smarthost", "host": "127.0.0.1", "port": 25}
            self.tell("egress", str(slot), slot=slot, pool=pool, via=via, ehlo=f"m{slot}.example")
        self.granting = Granting(self.world, load(shaping))

    def tell(self, topic: str, key: str, /, **event: Any) -> None:
        """Fold an event in."""
        self.world.apply(topic, key, msgspec.json.encode(event))

    def read(self, **waiting: int) -> None:
        """A second passes; `s1=5`: five wait in slot 1, and it has not moved; other slots are empty."""
        self.clock += 1.0
        queues = {
            slot: Queue(done=0, waiting=waiting.get(f"s{slot}", 0), mark=self.clock if f"s{slot}" not in waiting else 0)
            for slot in self.granting.slots()
        }
        self.granting.read(queues, NOW, self.clock)

    @property
    def grants(self) -> Grants:
        """As they are now."""
        return self.granting.grants(NOW, self.clock)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """With nothing waiting."""
    return Pool(tmp_path)


def campaign(pool: Pool, name: str, **changes: Any) -> None:
    """A paced one."""
    given = {
        "tenant": "acme",
        "campaign_id": name,
        "kind": "marketing",
        "subject": "x",
        "text": "x",
        "from": {"address": "n@acme.example"},
        "pace_per_s": 10.0,
    }
    pool.tell(topics.CAMPAIGNS.name, f"acme:{name}", **given | changes)


def test_before_the_queues_were_read_no_pool_is_granted_anything(pool: Pool) -> None:
    """And then what each of its slots may have at the start."""
    assert pool.grants.pools == {}
    pool.read()
    assert pool.grants.pools == {"own": START_SENDS, "shared": 2 * START_SENDS}


def test_queues_that_cannot_be_read_stop_marketing_and_not_paces(pool: Pool) -> None:
    """After as long as a full queue's other half lasts: by name, since who is not named may be taken as unbounded."""
    campaign(pool, "autumn")
    pool.read()
    pool.clock += KEPT_S
    assert pool.grants.pools["shared"] > 0
    pool.clock += 0.1
    assert pool.grants.pools == {"own": 0.0, "shared": 0.0}
    assert pool.grants.paces == {"acme:autumn": 10.0}


def test_a_slot_that_stands_still_is_held_and_its_pool_goes_on_without_it(pool: Pool) -> None:
    """Its weight is still in this world: no lease is read here."""
    for _ in range(int(STANDS_S) + 1):
        pool.read(s1=50)
    assert pool.grants.held == (1,)
    assert pool.grants.pools["shared"] == START_SENDS
    assert pool.grants.capacity["shared/gmail"] == 10.0
    pool.read()
    assert pool.grants.held == ()


def test_capacity_is_named_where_anything_bounds_a_provider(pool: Pool) -> None:
    """Two slots of 10/s; what a sender learned; a control that slows; a provider without a limit is not named."""
    pool.read()
    assert pool.grants.capacity["shared/gmail"] == 20.0
    assert "shared/yahoo" not in pool.grants.capacity
    pool.tell(
        "conditions", "1/yahoo", slot=1, provider="yahoo", health="throttled", at=NOW, rate_per_s=4.0, limit_per_s=4.0
    )
    assert pool.grants.capacity["shared/yahoo"] == 8.0
    slow = {"target": "slot", "key": "2", "provider": "gmail", "state": "suspended", "slow_to": 0.5}
    pool.tell("controls", "slot/2/gmail", **slow, by="operator", reason="x", at=NOW)
    assert pool.grants.capacity["shared/gmail"] == 15.0  # and half the share: the other one goes as before


def test_a_host_of_no_name_is_in_no_lease(pool: Pool) -> None:
    """No mail is dealt under its name; thousands of them may have throttled an IP each."""
    pool.read()
    host = "mx:hoster.example"
    pool.tell("conditions", f"1/{host}", slot=1, provider=host, health="throttled", at=NOW, rate_per_s=4.0)
    assert "shared/gmail" in pool.grants.capacity and f"shared/{host}" not in pool.grants.capacity


def test_where_a_providers_limit_decides_a_standing_queue_leaves(pool: Pool) -> None:
    """A twentieth less than the limit while seconds of mail wait in a slot; the other pool is granted all of it."""
    full = {"s1": int((EASED_ABOVE_S + 1) * START_PER_S)}
    pool.read(**full)
    assert (pool.grants.capacity["shared/gmail"], pool.grants.capacity["own/gmail"]) == (20.0 * EASED, 10.0)
    pool.read(s1=int(EASED_ABOVE_S * START_PER_S))
    assert (pool.grants.capacity["shared/gmail"], pool.grants.capacity["own/gmail"]) == (20.0, 10.0)


def test_a_queue_that_easing_does_not_end_costs_its_providers_less_than_a_hundredth(pool: Pool) -> None:
    """A pool that its own window bounds has seconds of mail in each slot, for ever; a look in ten minutes is eased."""
    granted, drained = [], 0
    for _ in range(1_200):
        pool.clock += 1.0
        drained += int(START_PER_S)
        moves = Queue(done=drained, waiting=int((AIM_S + 1) * START_PER_S), mark=drained)
        pool.granting.read(dict.fromkeys((1, 2), moves), NOW, pool.clock)
        granted.append(pool.grants.capacity["shared/gmail"])
    assert granted[0] == 20.0 * EASED
    assert granted[150] == granted[-150] == 20.0
    assert granted.count(20.0 * EASED) == pytest.approx(200, abs=4)
    assert sum(granted) / (20.0 * len(granted)) > 0.99


def test_a_blocked_slot_leaves_the_provider_to_the_others(pool: Pool) -> None:
    """One of two: half the capacity."""
    pool.read()
    until = NOW + timedelta(minutes=5)
    pool.tell("conditions", "1/gmail", slot=1, provider="gmail", health="blocked", at=NOW, until=until)
    assert pool.grants.capacity["shared/gmail"] == 10.0
    pool.tell("conditions", "2/gmail", slot=2, provider="gmail", health="blocked", at=NOW, until=until)
    assert "shared/gmail" not in pool.grants.capacity  # no slot takes it anyway


def test_only_campaigns_that_may_go_are_granted_their_pace(pool: Pool) -> None:
    """Slowed where a control slows them."""
    campaign(pool, "autumn")
    campaign(pool, "paused", state="paused")
    campaign(pool, "over", expire_at=NOW - timedelta(seconds=1))
    campaign(pool, "unpaced", pace_per_s=None)
    campaign(pool, "slowed")
    slow = {"target": "campaign", "key": "acme:slowed", "state": "paused", "slow_to": 0.5}
    pool.tell("controls", "campaign/acme:slowed", **slow, by="operator", reason="x", at=NOW)
    assert pool.grants.paces == {"acme:autumn": 10.0, "acme:slowed": 5.0}
