"""A warming IP's allowance is never exceeded: counted in the partition's tables, retries included."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.events import Send
from streams.gate.quotas import Quotas
from tests.gate.builders import NOW, Scene, Tables

MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)


def warming(scene: Scene, slot: int, allowance: int | None, **fields: Any) -> None:
    """Slot `slot` may send so many to `other` today."""
    scene.egress(slot, warmup={"started_at": NOW - timedelta(days=3), "initial_per_day": 2})
    day = {"slot": slot, "provider": "other", "day": "2026-11-24", "stage": 3, "allowance": allowance, "weight": 1.0}
    scene.apply("warmups", f"{slot}/other", day | {"reason": "t", "at": NOW} | fields)


def dealt(scene: Scene, count: int, first: int = 0) -> Counter[int]:
    """How many of so many new mails each slot got."""
    return Counter(send.slot for number in range(count) for send in scene.ask(f"u{first + number}").sends)


def test_what_is_above_the_allowance_goes_over_the_others() -> None:
    """Evenly until it is used up, then over the warm ones; nothing waits."""
    scene = Scene(slots=3)
    warming(scene, 2, 10)
    slots = dealt(scene, 27)
    assert slots.total() == 27 and all(8 <= slots[slot] <= 10 for slot in range(3))
    slots += dealt(scene, 33, first=27)
    assert slots[2] == 10 and abs(slots[0] - slots[1]) <= 2


def test_restarts_and_batches_that_fail_forget_nothing() -> None:
    """The count is in the tables, in the mail's own transaction."""
    scene = Scene(slots=2)
    warming(scene, 1, 25)
    chance, slots = random.Random("restarts"), Counter[int]()
    for number in range(200):
        if chance.random() < 0.3:
            scene.restarted()
        slots += dealt(scene, 1, first=number)
    assert slots[1] == 25 and slots[0] == 175


def test_what_is_taken_back_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail that fails after its deal, whose writes are undone, has not spent anything."""
    scene = Scene(slots=2)
    warming(scene, 1, 5)
    for number in range(20):
        before = dict(scene.tables.rows)
        with monkeypatch.context() as broken:
            broken.setattr("streams.gate.settling.send_emission", lambda _send: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                scene.ask(f"u{number}")
        for key in set(scene.tables.rows) - set(before):
            scene.tables.delete(key)
        for key, value in before.items():
            scene.tables.put(key, value)
    assert dealt(scene, 40)[1] == 5


def test_a_retry_on_its_own_ip_counts_and_goes_elsewhere_once_that_has_no_more() -> None:
    """It is one more mail that the provider sees from it."""
    scene = Scene(slots=2)
    warming(scene, 1, 3)
    on_new: list[Send] = []
    while len(on_new) < 2:
        scene.offset += 1
        on_new += [send for send in scene.ask(f"u{scene.offset}").sends if send.slot == 1]
    again: list[Send] = []
    for send in on_new:
        scene.give("retry", send)
        again += scene.release().sends
    assert [send.slot for send in again] == [1, 0], "the third of three, and the one that has no room left"


def test_the_next_day_has_a_new_count() -> None:
    """At midnight in UTC; before CONTROL's word, with no more than that can allow."""
    scene = Scene(slots=2)
    warming(scene, 1, 6)
    assert dealt(scene, 40)[1] == 6
    scene.now = MIDNIGHT - timedelta(microseconds=1)
    assert dealt(scene, 40, first=40)[1] == 0
    scene.now = MIDNIGHT
    assert dealt(scene, 40, first=80)[1] == 4, "a stage back: 2 x 1.5 x 1.5"
    warming(scene, 1, 10, day="2026-11-25", at=MIDNIGHT)
    assert dealt(scene, 40, first=120)[1] == 6


def test_a_clock_that_is_set_back_over_midnight_gives_nothing_twice() -> None:
    """What was dealt on the later day counts on the earlier one."""
    scene = Scene(slots=2)
    warming(scene, 1, 6)
    scene.now = MIDNIGHT
    assert dealt(scene, 40)[1] == 4
    scene.now = MIDNIGHT - timedelta(seconds=1)
    scene.restarted()
    warming(scene, 1, 6)
    assert dealt(scene, 40, first=40)[1] == 2
    scene.now = MIDNIGHT + timedelta(seconds=1)
    scene.restarted()
    warming(scene, 1, 6)
    assert dealt(scene, 40, first=80)[1] == 0, "the later day goes on where it was"


def test_a_clock_that_was_far_ahead_closes_no_ip_until_then() -> None:
    """A year ahead for a moment: when it is right again the IP has its day."""
    scene = Scene(slots=2)
    warming(scene, 1, 6)
    scene.now = NOW + timedelta(days=365)
    assert dealt(scene, 40)[1] > 0
    scene.now = NOW
    scene.restarted()
    warming(scene, 1, 6)
    assert dealt(scene, 40, first=40)[1] == 6


def test_each_partition_spends_its_part() -> None:
    """Twelve partitions, ten mails: ten in all, at most one for each."""
    scene = Scene(slots=2)
    warming(scene, 1, 10)
    share = scene.world.share("shared", "other", NOW)
    spent = []
    for partition in range(12):
        quotas = Quotas(Tables(), partition, partitions=12, width=2)
        spent.append(0)
        while any(slot == 1 for slot, _ in quotas.usable("shared", "other", share, NOW)):
            quotas.spend("shared", "other", 1)
            spent[-1] += 1
    assert sum(spent) == 10 and max(spent) == 1


def test_a_pool_whose_ips_have_all_used_their_allowance_waits_for_the_next_day() -> None:
    """Nobody takes the spill-over: the mail waits for a slot, and goes at midnight."""
    scene = Scene(slots=1)
    warming(scene, 0, 2)
    assert dealt(scene, 2) == {0: 2}
    late = scene.ask("late")
    assert late.types == ["waiting"]
    assert late.deliveries[0].rules[0].rule == "no_slot"
    assert scene.release().sends == []
    scene.now = MIDNIGHT
    assert [send.slot for send in scene.release().sends] == [0]


def test_warm_slots_are_not_counted() -> None:
    """No allowance, no row."""
    scene = Scene(slots=2)
    warming(scene, 1, None, stage=None)
    dealt(scene, 20)
    assert not [key for key in scene.tables.rows if key.startswith(b"q/")]
