"""A pool's weights are one object until something said of them changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.views import World
from streams.views.weighing import Share

NOW = datetime(2026, 12, 1, 4, 0, tzinfo=UTC)


class Pool:
    """A world with four even slots in the pool `shared`."""

    def __init__(self) -> None:
        """Slots 0 to 3."""
        self.world = World()
        for slot in range(4):
            self.egress(slot)

    def egress(self, slot: int, **fields: Any) -> None:
        """Set a slot."""
        via = {"kind": "bind", "address": f"192.0.2.{slot}"}
        self.say("egress", str(slot), {"slot": slot, "via": via, "ehlo": "m.example"} | fields)

    def control(self, slot: int, **fields: Any) -> None:
        """Suspend a slot."""
        name = f"slot/{slot}" + (f"/{fields['provider']}" if "provider" in fields else "")
        event = {"target": "slot", "key": str(slot), "state": "suspended", "by": "ana", "reason": "", "at": NOW}
        self.say("controls", name, event | fields)

    def condition(self, slot: int, **fields: Any) -> None:
        """Say how a slot does at gmail."""
        event = {"slot": slot, "provider": "gmail", "health": "throttled", "at": NOW, "limit_per_s": 8.0}
        self.say("conditions", f"{slot}/gmail", event | fields)

    def warmup(self, slot: int, **fields: Any) -> None:
        """Say what a slot may send to gmail today."""
        day = {"slot": slot, "provider": "gmail", "day": "2026-12-01", "stage": 0, "allowance": 50, "weight": 0.5}
        self.say("warmups", f"{slot}/gmail", day | {"reason": "t", "at": NOW} | fields)

    def lease(self, *held: int, partition: int = 0, ttl_s: float = 4.0, **fields: Any) -> None:
        """Lease, with slots held."""
        event = {"gate_partition": partition, "issued_at": NOW, "expires_at": NOW + timedelta(seconds=ttl_s)}
        self.say("leases", str(partition), event | {"pace_per_s": {}, "held": held} | fields)

    def say(self, topic: str, key: str, event: dict[str, Any]) -> None:
        """Fold a record in."""
        self.world.apply(topic, key, msgspec.json.encode(event))

    def slots(self, provider: str = "gmail", **span: float) -> list[int]:
        """Who takes mail to a provider, some time from now."""
        return [slot for slot, _ in self.world.weights("shared", provider, NOW + timedelta(**span))]


def test_unchanged_weights_are_the_same_object() -> None:
    """Also where it was weighed anew, for another provider's sake or since a time was up, and came to the same."""
    pool = Pool()
    first = pool.world.weights("shared", "gmail", NOW)
    assert pool.world.weights("shared", "gmail", NOW + timedelta(days=400)) is first
    assert pool.world.weights("shared", "docomo", NOW) is first, "nothing is said of either"
    pool.egress(9, pool="other")
    pool.condition(1, rate_per_s=8.0)
    assert pool.world.weights("shared", "gmail", NOW) is first
    pool.condition(1, rate_per_s=4.0)
    lower = pool.world.weights("shared", "gmail", NOW)
    assert lower == ((0, 1.0), (1, 0.5), (2, 1.0), (3, 1.0))
    pool.condition(1, rate_per_s=3.9, at=NOW + timedelta(seconds=30))
    assert pool.world.weights("shared", "gmail", NOW) is lower, "a rate that wavers is the same step"
    assert pool.world.weights("shared", "docomo", NOW) is first


def test_each_word_counts_at_once_and_for_whom_it_is() -> None:
    """Egress, a control for all and one for a provider, a condition, a tombstone."""
    pool = Pool()
    assert pool.slots() == [0, 1, 2, 3]
    pool.egress(0, state="drained")
    pool.control(1)
    pool.control(2, provider="gmail", until=NOW + timedelta(minutes=1))
    assert (pool.slots(), pool.slots("docomo")) == ([3], [2, 3])
    pool.world.apply("controls", "slot/1", None)
    assert (pool.slots(), pool.slots("docomo")) == ([1, 3], [1, 2, 3])
    pool.condition(3, health="blocked", until=NOW + timedelta(hours=1))
    assert (pool.slots(), pool.slots("docomo")) == ([1], [1, 2, 3])
    pool.world.apply("conditions", "3/gmail", None)
    assert pool.slots() == [1, 3]
    assert pool.slots(minutes=1) == [1, 2, 3], "the control's time is up"


def test_slots_are_those_of_the_pool_whatever_the_provider() -> None:
    """A provider's own words take nothing from them."""
    pool = Pool()
    pool.control(1, provider="gmail")
    pool.egress(2, pool="own")
    assert [slot for slot, _ in pool.world.slots("shared", NOW)] == [0, 1, 3]
    assert [slot for slot, _ in pool.world.slots("own", NOW)] == [2]
    assert pool.world.slots("nowhere", NOW) == ()


def test_a_held_slot_is_dealt_nothing_until_a_lease_lets_it_go_or_all_that_hold_it_end() -> None:
    """Leases are renewed each second: the same slots held are no change."""
    pool = Pool()
    pool.lease(2)
    held = pool.world.weights("shared", "gmail", NOW)
    assert [slot for slot, _ in held] == [0, 1, 3]
    pool.lease(2, ttl_s=5.0)
    assert pool.world.weights("shared", "gmail", NOW) is held
    assert pool.slots(seconds=4) == [0, 1, 3]
    assert pool.slots(seconds=5) == [0, 1, 2, 3]
    pool.lease()
    assert pool.slots() == [0, 1, 2, 3]


def test_a_lease_that_comes_late_does_not_replace_a_newer_one() -> None:
    """CONTROL's former owner may still be writing when its successor has."""
    pool = Pool()
    pool.lease(2)
    pool.lease(1, issued_at=NOW - timedelta(seconds=1))
    assert pool.world.leases["0"].held == (2,)


def test_after_a_clock_was_set_back_the_leases_of_its_future_count_no_more() -> None:
    """CONTROL's clock ran an hour ahead: its next lease counts, and not that one for an hour."""
    pool = Pool()
    pool.lease(2, issued_at=NOW + timedelta(hours=1), expires_at=NOW + timedelta(hours=1, seconds=4))
    pool.lease(1)
    assert pool.world.leases["0"].held == (1,)
    assert pool.slots() == [0, 2, 3]


def test_after_a_clock_was_set_back_what_had_ended_stands_again() -> None:
    """A suspension of an hour, looked at by a clock that was a year ahead for a moment."""
    pool = Pool()
    pool.control(2, until=NOW + timedelta(hours=1))
    assert [pool.slots(days=days) for days in (0, 365, 0)] == [[0, 1, 3], [0, 1, 2, 3], [0, 1, 3]]


def test_a_warming_slot_has_its_days_weight_and_allowance_at_each_provider() -> None:
    """The day's word for gmail; the first day's at a provider that CONTROL said nothing of."""
    pool = Pool()
    pool.egress(3, warmup={"started_at": NOW, "initial_per_day": 20})
    pool.warmup(3)
    gmail, docomo = (pool.world.share("shared", one, NOW) for one in ("gmail", "docomo"))
    assert (gmail.weights[-1], gmail.allowances) == ((3, 0.5), {3: 50})
    assert (docomo.weights[-1], docomo.allowances) == ((3, 1 / 16), {3: 20})
    assert pool.world.share("shared", "gmail", NOW) is gmail
    pool.warmup(3, stage=1, allowance=75)
    assert pool.world.share("shared", "gmail", NOW).allowances == {3: 75}
    pool.warmup(3, stage=None, allowance=None, weight=1.0)
    warm = pool.world.share("shared", "gmail", NOW)
    assert (warm.weights[-1], warm.allowances) == ((3, 1.0), {})


_SLOT, _PROVIDER = st.integers(0, 3), st.sampled_from(["gmail", "docomo"])
_SPAN = st.none() | st.integers(1, 120)
# One edit, or so many seconds that pass: (what, slot, provider, a figure, seconds until it ends by itself).
_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["egress", "control", "narrowed", "slowed", "condition", "blocked", "warmup", "lease", "time"]),
        _SLOT,
        _PROVIDER,
        st.integers(0, 8),
        _SPAN,
    ),
    max_size=25,
)


@given(_EDITS)
def test_what_is_remembered_is_what_a_world_that_remembers_nothing_says(
    edits: list[tuple[str, int, str, int, int | None]],
) -> None:
    """After any edits and as time goes on; and it is the same object as before wherever it is equal."""
    pool, now = Pool(), NOW
    told: dict[tuple[str, str], bytes] = {}
    before: dict[str, Share] = {}
    for slot in range(4):
        told["egress", str(slot)] = msgspec.json.encode(pool.world.egress[str(slot)])
    for what, slot, provider, figure, span in edits:
        ends = None if span is None else now + timedelta(seconds=span)
        if what == "time":
            now += timedelta(seconds=figure * 20)
        else:
            topic, key, event = _edit(what, slot, provider, figure, ends, now)
            told[topic, key] = msgspec.json.encode(event)
            pool.world.apply(topic, key, told[topic, key])
        fresh = World()
        for (topic, key), value in told.items():
            fresh.apply(topic, key, value)
        for name in ("gmail", "docomo", ""):
            share, wanted = pool.world.share("shared", name, now), fresh.share("shared", name, now)
            assert (share.weights, share.allowances) == (wanted.weights, wanted.allowances)
            last = before.get(name)
            if last is not None and (last.weights, last.allowances) == (share.weights, share.allowances):
                assert share is last
            before[name] = share


def _edit(
    what: str, slot: int, provider: str, figure: int, ends: datetime | None, now: datetime
) -> tuple[str, str, dict[str, Any]]:
    """Topic, key and event of one edit."""
    at: dict[str, Any] = {"at": now}
    match what:
        case "egress":
            via = {"kind": "bind", "address": "192.0.2.1"}
            warmup = {"started_at": now, "initial_per_day": 10} if figure % 2 else None
            state = "active" if figure else "drained"
            event = {"slot": slot, "via": via, "ehlo": "m.example", "weight": figure / 2, "state": state}
            return "egress", str(slot), event | {"warmup": warmup}
        case "control" | "narrowed" | "slowed":
            event = at | {"target": "slot", "key": str(slot), "state": "suspended", "by": "ana", "reason": ""}
            event |= {"until": ends, "slow_to": 0.5 if what == "slowed" else None}
            narrow = provider if what == "narrowed" else None
            return "controls", f"slot/{slot}" + (f"/{narrow}" if narrow else ""), event | {"provider": narrow}
        case "condition" | "blocked":
            health = "blocked" if what == "blocked" else "throttled"
            event = at | {"slot": slot, "provider": provider, "health": health, "until": ends, "limit_per_s": 8.0}
            return "conditions", f"{slot}/{provider}", event | {"rate_per_s": float(figure)}
        case "warmup":
            day = {"slot": slot, "provider": provider, "day": f"{now:%Y-%m-%d}", "stage": figure, "reason": "t"}
            return "warmups", f"{slot}/{provider}", at | day | {"allowance": 10 * figure, "weight": figure / 8}
        case _:
            lease = {"gate_partition": 0, "issued_at": now, "expires_at": ends or now, "pace_per_s": {}}
            return "leases", "0", lease | {"held": [slot] if figure else []}
