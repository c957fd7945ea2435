"""The gate's deals are even per provider, whatever happens around them."""

import random

import pytest

from streams.gate import slots as gate_slots
from streams.spread.check import WINDOW_BOUND, worst_window_deviation
from tests.gate.builders import Scene

DOMAINS = {"docomo.example": "docomo", "gmail.example": "gmail", "rare.example": "rare"}
WEIGHTS = (1.0, 1.0, 2.5, 0.3, 1.0)


def scene_of(seed: str = "") -> tuple[Scene, random.Random]:
    """Five slots of three weights."""
    scene = Scene(slots=len(WEIGHTS), providers=DOMAINS)
    for slot, weight in enumerate(WEIGHTS):
        scene.egress(slot, weight=weight)
    return scene, random.Random(seed)


def test_each_provider_is_even_across_restarts() -> None:
    """Restarts after every few deals leave no trace in the sequence of any provider."""
    scene, chance = scene_of("restarts")
    dealt: dict[str, list[int]] = {}
    turns: dict[str, list[int]] = {}
    for number in range(600):
        domain = chance.choices(list(DOMAINS), [5, 4, 1])[0]
        (send,) = scene.ask(f"u{number}", to={"address": f"u{number}@{domain}"}).sends
        dealt.setdefault(send.provider, []).append(send.slot)
        turns.setdefault(send.provider, []).append(send.turn)
        if chance.random() < 0.3:
            scene.restarted()
    assert dealt.keys() == set(DOMAINS.values())
    for provider, slots in dealt.items():
        assert worst_window_deviation(slots, dict(enumerate(WEIGHTS))) < WINDOW_BOUND
        assert turns[provider] == list(range(1, len(slots) + 1))


def test_a_saved_dealer_is_caught_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two saves only a count is written; it leads to the same next slot, wherever the restart falls."""
    undisturbed, _ = scene_of()
    restarted, chance = scene_of()
    monkeypatch.setattr(gate_slots, "SAVE_EVERY", 7)
    for number in range(120):
        assert undisturbed.ask(f"u{number}").sends[0].slot == restarted.ask(f"u{number}").sends[0].slot
        if chance.random() < 0.4:
            restarted.restarted()


def test_retries_on_their_own_ip_stay_out_of_the_deal() -> None:
    """The sequence of version > 0 is even, however many come back; version 0 marks those that kept their slot."""
    scene, chance = scene_of("retries")
    dealt = []
    for number in range(300):
        (send,) = scene.ask(f"u{number}").sends
        dealt.append(send)
        if chance.random() < 0.4:
            scene.give(chance.choice(["retry", "parked", "drained"]), send)
            dealt += scene.release().sends
    slots = [send.slot for send in dealt if send.weights_version]
    assert [send.turn for send in dealt if send.turn] == list(range(1, len(slots) + 1))
    assert len(slots) > 300
    assert worst_window_deviation(slots, dict(enumerate(WEIGHTS))) < WINDOW_BOUND


def test_a_failure_after_the_deal_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the caller takes the writes back, the dealer in memory follows the tables: no deal is lost or doubled."""
    undisturbed, _ = scene_of()
    failing, _ = scene_of()
    for number in range(40):
        before = dict(failing.tables.rows)
        with monkeypatch.context() as broken:
            broken.setattr("streams.gate.settling.send_emission", lambda _send: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                failing.ask(f"u{number}")
        for key in set(failing.tables.rows) - set(before):
            failing.tables.delete(key)
        for key, value in before.items():
            failing.tables.put(key, value)
        assert failing.ask(f"u{number}").sends[0].slot == undisturbed.ask(f"u{number}").sends[0].slot
