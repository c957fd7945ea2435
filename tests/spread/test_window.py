"""A pool's window in a closed loop on a virtual clock: queues stay within seconds, and no sender waits for mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.spread.window import LONGEST_S, STANDS_S, START_PER_S, START_SENDS, Queue, SlotWindow, Windows
from tests.spread.windowed_pool import PERIOD_S, Pool, Sender

# Found within: 20/s to 2,000/s by threes, each seen two seconds later, and 5 s to settle.
FOUND_S = 20.0


def steady(paces: Sequence[float], phases: Sequence[float] = (0.1, 0.4, 0.8)) -> list[Sender]:
    """Senders that drain at these paces."""
    return [
        Sender(pace=lambda _, pace=pace: pace, phase=phases[slot % len(phases)])  # type: ignore[misc]  # as bound
        for slot, pace in enumerate(paces)
    ]


def changing(before: float, after: float, at: float, until: float = float("inf")) -> Callable[[float], float]:
    """A pace that is another from `at` to `until`."""
    return lambda now: after if at <= now < until else before


def sent_over(pool: Pool, seconds: float) -> float:
    """How many sends went meanwhile."""
    before = pool.sent
    pool.run(seconds)
    return pool.sent - before


@settings(max_examples=25, deadline=None)
@example(base=5.0, parts=[1.0, 0.5], phases=[0.0, 0.0, 0.0])
@given(
    base=st.floats(5, 1_000),
    parts=st.lists(st.floats(0.4, 1.0), min_size=1, max_size=5),
    phases=st.lists(st.floats(0.0, 0.99), min_size=3, max_size=3),
)
def test_an_endless_burst_keeps_senders_busy_and_queues_short(
    base: float, parts: list[float], phases: list[float]
) -> None:
    """The slowest for its share decides; the pool does 95 % of what that allows, and nobody's queue is long."""
    paces = [base * part for part in parts]
    pool = Pool(steady(paces, phases))

    def bounded() -> None:
        for sender, pace in zip(pool.senders, paces, strict=True):
            assert sender.queue <= (LONGEST_S + PERIOD_S) * max(pace, START_PER_S)

    pool.run(FOUND_S + START_SENDS / min(paces), each=bounded)  # a slow one first works off what it began with
    found = pool.sent
    pool.run(60, each=bounded)
    assert pool.sent - found >= 0.95 * 60 * min(paces) * len(paces)


@settings(max_examples=25, deadline=None)
@given(base=st.floats(20, 500), factor=st.floats(0.2, 5.0), slots=st.integers(1, 4))
def test_a_sender_that_changes_its_pace_is_followed(base: float, factor: float, slots: int) -> None:
    """Its queue is at most 10 s of what it drained when it was granted, and 10 s of the new pace soon after."""
    senders = [Sender(pace=changing(base, base * factor, at=40.0), phase=0.3), *steady([base] * (slots - 1))]
    pool = Pool(senders)

    def bounded() -> None:
        assert senders[0].queue <= (LONGEST_S + PERIOD_S) * base * max(1.0, factor)

    pool.run(40.0 + FOUND_S, each=bounded)
    pool.run((LONGEST_S - LONGEST_S * factor) / factor if factor < 1 else 1)  # what was too much leaves by itself
    assert senders[0].queue <= (LONGEST_S + PERIOD_S) * base * factor
    slowest = base * min(1.0, factor) if slots > 1 else base * factor
    assert sent_over(pool, 30) >= 0.95 * 30 * slowest * slots


@pytest.mark.parametrize("away_s", [1.5, 3.0, 5.0, 8.0, 30.0])
def test_a_sender_that_is_away_holds_up_nobody_for_long(away_s: float) -> None:
    """While one of four restarts, the others do 95 % of what they can; it gets at most 10 s of what it drained."""
    stopped = Sender(pace=changing(100, 0, at=40.0, until=40.0 + away_s), phase=0.3)
    others = steady([100.0] * 3)
    pool = Pool([stopped, *others])
    pool.run(40.0)
    before = sum(sender.sent for sender in others)

    def bounded() -> None:
        assert stopped.queue <= (LONGEST_S + PERIOD_S) * 100

    pool.run(away_s + 30, each=bounded)
    assert sum(sender.sent for sender in others) - before >= 0.95 * 3 * 100 * (away_s + 30)
    assert not pool.held
    assert sent_over(pool, 20) >= 0.95 * 400 * 20


def test_a_slot_that_stands_still_is_held_and_released_when_it_moves() -> None:
    """Ten seconds with something waiting, sooner with a full queue, and free again with the first send that goes."""
    stopped = Sender(pace=changing(100, 0, at=20.0, until=60.0), phase=0.3)
    pool = Pool([stopped, *steady([100.0])], wish=lambda now: 20.0 if now < 30 else 400.0)
    pool.run(25.0)
    assert not pool.held
    pool.run(STANDS_S - 2.0)
    assert pool.held == (0,)
    pool.run(25.0)
    assert pool.held == (0,)
    pool.run(6.0)
    assert not pool.held


def test_all_senders_away_holds_no_slot() -> None:
    """Nothing is better elsewhere: mail waits in the queues up to their windows, and at the gate."""
    pool = Pool([Sender(pace=changing(50, 0, at=20.0, until=60.0), phase=phase) for phase in (0.1, 0.6)])
    pool.run(50.0)
    assert not pool.held
    assert pool.rate < 1.0
    assert all(sender.queue <= (LONGEST_S + PERIOD_S) * 50 for sender in pool.senders)
    pool.run(20.0)
    assert sent_over(pool, 20) >= 0.95 * 100 * 20


def test_a_slot_that_crawls_does_not_slow_its_pool_for_ever() -> None:
    """At a thirtieth of the others' pace it is held, drains, and is tried again."""
    crawling = Sender(pace=changing(100, 3, at=20.0), phase=0.3)
    pool = Pool([crawling, *steady([100.0] * 3)])
    pool.run(40.0)
    assert pool.held == (0,)
    assert sent_over(pool, 60) >= 0.95 * 300 * 60


def test_slots_with_little_to_do_are_never_held_or_forgotten() -> None:
    """A trickle leaves each slot ready for a burst of ten seconds of its first rate."""
    pool = Pool(steady([100.0] * 4), wish=lambda _: 2.0)
    pool.run(300.0)
    assert not pool.held
    assert pool.rate >= 4 * START_PER_S


def test_shares_decide_what_a_slot_allows() -> None:
    """A slot that is as fast as the others and has twice their share lets the pool do less."""
    windows = Windows()
    windows.observe({0: Queue(done=0, waiting=0, mark=0), 1: Queue(done=0, waiting=0, mark=0)}, 0.0)
    even, uneven = windows.pool_rate(((0, 1.0), (1, 1.0))), windows.pool_rate(((0, 2.0), (1, 1.0)))
    assert uneven == pytest.approx(0.75 * even)
    assert windows.pool_rate(()) == 0.0


def test_a_slot_that_gets_little_of_the_pool_s_mail_does_not_hold_up_the_others() -> None:
    """Blocked at the provider that nearly all mail is for: what it does says nothing of what the pool may be given."""
    senders = steady([1_000.0, 1_000.0, 50.0])
    pool = Pool(senders, weights=((0, 1.0), (1, 1.0), (2, 0.002)))
    pool.nominal = ((0, 1.0), (1, 1.0), (2, 1.0))
    pool.run(FOUND_S)
    assert sent_over(pool, 30) >= 0.95 * 2_000 * 30
    assert senders[0].queue <= (LONGEST_S + PERIOD_S) * 1_000


def test_a_slot_that_is_new_or_free_again_counts_by_its_weight() -> None:
    """Of what it will be given nothing was measured yet."""
    windows = Windows()
    for now in range(6):
        queues = {0: Queue(done=100 * now, waiting=0, mark=now)}
        windows.observe(queues | ({1: Queue(done=0, waiting=0, mark=0)} if now == 5 else {}), float(now))
    assert windows.of(0).given == pytest.approx(400)
    assert windows.of(1).given is None
    assert windows.pool_rate(((0, 1.0), (1, 1.0))) == pytest.approx(2 * START_SENDS)


def test_receivers_that_take_minutes_are_no_slow_sender() -> None:
    """Two sends in hand all the time, and nothing behind them: the slot is as ready as before."""
    window = SlotWindow()
    for now in range(60):
        window.observe(Queue(done=now // 5, waiting=2, in_hand=2, mark=now), float(now))
    assert window.rate >= START_PER_S
    assert window.grant > START_PER_S


def test_who_is_asked_after_a_while_does_not_think_that_all_stood_still_meanwhile() -> None:
    """CONTROL itself was away for a minute: that counts as two seconds."""
    windows = Windows()
    for now in (0.0, 1.0, 61.0):
        windows.observe({slot: Queue(done=0, waiting=50 if slot else 0, mark=0) for slot in range(2)}, now)
        assert windows.hold(((0, 1.0), (1, 1.0))) == ()


def test_offsets_that_were_set_back_by_hand_are_no_rate() -> None:
    """What follows is measured anew."""
    window = SlotWindow()
    for now, done in enumerate((1_000_000, 1_000_010, 0, 10, 20)):
        window.observe(Queue(done=done, waiting=50, mark=done), float(now))
    assert 0 < window.rate <= START_PER_S


def test_a_weight_too_small_for_a_share_bounds_nothing() -> None:
    """Somebody declared an IP with a weight of 1e-320 beside one of a million."""
    assert 0 < Windows().pool_rate(((0, 1e-320), (1, 1e6))) < float("inf")
