"""Dealing keeps its bound in any window, across restarts and changes of weights."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.spread.check import WINDOW_BOUND, worst_window_deviation
from streams.spread.dealing import Dealer, Weights, balanced, punctual, weights_version

# The checker adds shares as floats; the dealer counts in integers and stays below two exactly.
FLOAT_NOISE = 1e-9

EVEN: Weights = tuple((slot, 1.0) for slot in range(8))

# Two heavy slots among many light ones.
STEEP: Weights = tuple((3 * slot, {12: 9.0, 17: 6.0}.get(slot, 1.0)) for slot in range(18))

weights_strategy = st.lists(st.floats(0.01, 100.0), min_size=1, max_size=24).map(
    lambda found: tuple((3 * index, weight) for index, weight in enumerate(found))
)


def dealt(dealer: Dealer, weights: Weights, number: int) -> list[int]:
    """The slots of the next `number` deals."""
    return [dealer.deal(weights) for _ in range(number)]


@given(weights=weights_strategy, number=st.integers(1, 600), seed=st.text(max_size=6))
@example(weights=STEEP, number=11, seed="1\x8c\x98üÌ")  # more lags behind than the few heavy slots can make up for
@settings(max_examples=150, deadline=None)
def test_any_window_stays_within_two(weights: Weights, number: int, seed: str) -> None:
    """For any weights and any phase, no window strays from its weighted share by more than two sends."""
    worst = worst_window_deviation(dealt(Dealer(seed, weights), weights, number), dict(weights))
    assert worst <= WINDOW_BOUND + FLOAT_NOISE


@given(weights=weights_strategy, cuts=st.lists(st.integers(0, 90), max_size=5), seed=st.text(max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_restart_changes_nothing(weights: Weights, cuts: list[int], seed: str) -> None:
    """A dealer saved and loaded anywhere deals the very sequence that an undisturbed one deals."""
    whole = dealt(Dealer(seed, weights), weights, sum(cuts) + 40)
    dealer, pieces = Dealer(seed, weights), []
    for cut in [*cuts, 40]:
        pieces += dealt(dealer, weights, cut)
        dealer = Dealer.from_bytes(dealer.to_bytes())
    assert pieces == whole
    assert dealer.turns == len(whole)


@given(
    segments=st.lists(st.tuples(weights_strategy, st.integers(0, 120)), min_size=2, max_size=5),
    seed=st.text(max_size=4),
)
@settings(max_examples=100, deadline=None)
def test_a_change_of_weights_adds_at_most_one(segments: list[tuple[Weights, int]], seed: str) -> None:
    """Over k changes of weights, also of the slots themselves, no window strays by more than 2 + k."""
    dealer = Dealer(seed, segments[0][0])
    slots = {slot for weights, _ in segments for slot, _ in weights}
    over = dict.fromkeys(slots, 0.0)
    highest, lowest = dict(over), dict(over)
    for weights, number in segments:
        total = sum(weight for _, weight in weights)
        for _ in range(number):
            over[dealer.deal(weights)] += 1.0
            for slot, weight in weights:
                over[slot] -= weight / total
            for slot in slots:
                highest[slot], lowest[slot] = max(highest[slot], over[slot]), min(lowest[slot], over[slot])
    assert max(highest[slot] - lowest[slot] for slot in slots) < WINDOW_BOUND + len(segments) - 1


@pytest.mark.parametrize("seed", [str(number) for number in range(60)])
def test_after_a_change_of_weights_any_window_stays_within_two(seed: str) -> None:
    """Weights that changed and then stay: from there on the bound is that of weights that never changed."""
    rng = random.Random(seed)
    dealer = Dealer(seed, EVEN)
    dealt(dealer, EVEN, rng.randrange(40))
    steep = tuple((slot, rng.choice([1.0, 2.0, 9.0, 30.0])) for slot in range(rng.choice([6, 8, 11])))
    assert worst_window_deviation(dealt(dealer, steep, 60), dict(steep)) <= WINDOW_BOUND + FLOAT_NOISE


@pytest.mark.parametrize("lags", [[6, 6, -6, -6], [9, -9, 0, 0], [9, 9, 9, -9, -9, -9], [0, 0]])
def test_lags_shrink_only_as_far_as_deadlines_ask(lags: list[int]) -> None:
    """They keep their sum of zero and their signs; what can be met is left as it is."""
    shares = [4] * (len(lags) // 2) + [1] * (len(lags) - len(lags) // 2)
    found = punctual(lags, shares, sum(shares))
    assert sum(found) == 0
    assert all(abs(new) <= abs(old) and new * old >= 0 for new, old in zip(found, lags, strict=True))
    assert punctual(found, shares, sum(shares)) == found


def test_new_weights_for_the_same_slots_add_nothing() -> None:
    """Warm-up changes weights often; the lags carry over, so each window still holds against the moving share."""
    dealer, over, highest, lowest = Dealer("p", EVEN), [0.0] * 8, [0.0] * 8, [0.0] * 8
    for step in range(40):
        weights = tuple((slot, 1.0 + (slot * step) % 5) for slot in range(8))
        total = sum(weight for _, weight in weights)
        for _ in range(11):
            over[dealer.deal(weights)] += 1
            for slot, weight in weights:
                over[slot] -= weight / total
                highest[slot], lowest[slot] = max(highest[slot], over[slot]), min(lowest[slot], over[slot])
    assert max(high - low for high, low in zip(highest, lowest, strict=True)) < WINDOW_BOUND


def test_random_dealing_fails_the_check() -> None:
    """The check tells fair dealing from a fair coin."""
    chance = random.Random(7)
    slots = [chance.randrange(8) for _ in range(400)]
    assert worst_window_deviation(slots, dict(EVEN)) > WINDOW_BOUND


def test_a_dealer_that_forgets_fails_the_check() -> None:
    """A dealer that starts from its seed after each restart gives the same slots again and again."""
    slots = [slot for _ in range(20) for slot in dealt(Dealer("seed", EVEN), EVEN, 3)]
    assert worst_window_deviation(slots, dict(EVEN)) > WINDOW_BOUND


def test_rare_providers_start_all_over_the_pool() -> None:
    """The first deals of many dealers don't pile up on slot 0."""
    first = [Dealer(f"{partition}/shared/docomo", EVEN).deal(EVEN) for partition in range(200)]
    counts = [first.count(slot) for slot in range(8)]
    assert min(counts) > 8 and max(counts) < 50


def test_folding_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting from zero again, as every 65,536 deals, leaves the sequence as it is."""
    weights: Weights = ((0, 1.0), (1, 2.5), (2, 0.3))
    whole = dealt(Dealer("s", weights), weights, 300)
    monkeypatch.setattr("streams.spread.dealing.FOLD_EVERY", 17)
    assert dealt(Dealer("s", weights), weights, 300) == whole


@given(st.lists(st.integers(-1000, 1000), max_size=12))
def test_balanced_lags_sum_to_zero_and_only_shrink(lags: list[int]) -> None:
    """Balancing moves each lag towards zero, never past it."""
    result = balanced(lags)
    assert sum(result) == 0
    assert all(0 <= new * (1 if old >= 0 else -1) <= abs(old) for old, new in zip(lags, result, strict=True))


def test_versions_tell_weights_apart() -> None:
    """Another slot or another weight is another version, and none is 0."""
    versions = {weights_version(one) for one in (EVEN, EVEN[:7], ((0, 1.0), (1, 1.5)), ((0, 1.0), (1, 1.25)))}
    assert len(versions) == 4 and 0 not in versions


@pytest.mark.parametrize(
    ("weights", "words"),
    [((), "at least one slot"), (((0, 0.0),), "above 0"), (((1, 1.0), (0, 1.0)), "ascending order")],
)
def test_weights_that_make_no_sense_are_refused(weights: Weights, words: str) -> None:
    """The error names what is wrong with the weights."""
    with pytest.raises(ValueError, match=words):
        Dealer("s", weights)
