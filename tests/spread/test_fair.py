"""Weighted fair queueing: shares within a bound, nobody starves, and nobody has saved up while it had nothing to send.

The oracle counts sends; it knows no tag.
"""

from collections import Counter
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.spread.fair import LEAST_WEIGHT, FairQueue

TURN = 16
weights = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.1, 20.0), min_size=2, max_size=8)


def serve(queue: FairQueue, waiting: list[str], weight: dict[str, float], turns: int, sends: int = 1) -> list[str]:
    """Who is served, turn by turn, while all of these wait."""
    order = []
    for _ in range(turns):
        name = queue.next(waiting)
        queue.charge(name, weight[name], sends)
        order.append(name)
    return order


@given(weight=weights, sizes=st.lists(st.integers(1, TURN), min_size=30, max_size=300))
def test_shares_are_within_one_turn_of_each(weight: dict[str, float], sizes: list[int]) -> None:
    """At any time, of any two: sends by weight differ by a turn of each at most, whatever the turns' sizes."""
    queue, sent, names = FairQueue(), Counter[str](), sorted(weight)
    for size in sizes:
        name = queue.next(names)
        queue.charge(name, weight[name], size)
        sent[name] += size
        for one, two in combinations(names, 2):
            apart = abs(sent[one] / weight[one] - sent[two] / weight[two])
            assert apart <= TURN / weight[one] + TURN / weight[two] + 1e-9


@given(weight=weights)
def test_nobody_starves(weight: dict[str, float]) -> None:
    """Between two turns of anybody, the others have no more than their weights, and one turn each, allow."""
    names = sorted(weight)
    order = serve(FairQueue(), names, weight, 400)
    for name in names:
        turns = [-1, *(at for at, one in enumerate(order) if one == name)]
        longest = sum(weight[other] / weight[name] + 1 for other in names if other != name)
        assert all(later - earlier <= longest + 1 for earlier, later in pairwise(turns))


@given(weight=weights, lone=st.integers(1, 500), late=st.integers(1, 200))
def test_who_comes_late_has_saved_up_nothing(weight: dict[str, float], lone: int, late: int) -> None:
    """However long the others were served without it, from its arrival on it has its share and a turn at most."""
    queue, names = FairQueue(), sorted(weight)
    newcomer, others = names[0], names[1:]
    serve(queue, others, weight, lone)
    sent = Counter(serve(queue, names, weight, late))
    total = sum(weight.values())
    assert sent[newcomer] <= late * weight[newcomer] / total + weight[newcomer] * len(names) / total + 2


@given(weight=weights, pause=st.integers(1, 300))
def test_who_paused_has_saved_up_nothing(weight: dict[str, float], pause: int) -> None:
    """The same for one that was served before, and had nothing for a while."""
    queue, names = FairQueue(), sorted(weight)
    serve(queue, names, weight, 50)
    serve(queue, names[1:], weight, pause)
    sent = Counter(serve(queue, names, weight, 100))
    total = sum(weight.values())
    assert sent[names[0]] <= 100 * weight[names[0]] / total + weight[names[0]] * len(names) / total + 2


def test_a_weight_of_nothing_goes_when_nobody_else_would() -> None:
    """A tenant of weight 0 is last, and never dropped."""
    queue = FairQueue()
    assert serve(queue, ["none"], {"none": 0.0}, 3) == ["none"] * 3
    order = serve(queue, ["none", "one"], {"none": 0.0, "one": 1.0}, round(3 / LEAST_WEIGHT))
    assert order.count("none") <= 3


def test_it_forgets_and_begins_anew_without_a_trace() -> None:
    """Thousands of tenants, and virtual time far beyond where a float counts sends: shares stay what they are."""
    queue, weight = FairQueue(), {"light": 1e-3, "heavy": 1e6}
    for number in range(3000):
        queue.charge(f"t{number}", 1.0, 1)
    serve(queue, ["light"], weight, 5_000)
    assert Counter(serve(queue, ["light", "heavy"], weight, 10_000))["light"] <= 2
    assert len(queue._tags) <= 1_001
