"""Who gets which partition: each property of the plan, and that no better plan exists."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.assignment.plan import Member, plan

TOPICS = frozenset({"a", "b", "c"})
ADDRESSES = ("198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4")
UNEVEN = 10_000


def member(number: int, *, held: frozenset[int] = frozenset(), has: frozenset[str] = frozenset()) -> Member:
    """A member that reads all topics."""
    return Member(
        id=f"uuid-{99 - number}", name=f"m{number}", topics=TOPICS, held=held, can_bind=lambda address: address in has
    )


def owners(members: Sequence[Member], width: int, slots: dict[int, str | None] | None = None) -> list[int]:
    """For each partition its member's place in the list; all topics of the width must agree."""
    plans = plan(dict.fromkeys(TOPICS, width), members, slots or {})
    found: dict[int, int] = {}
    for at, one in enumerate(members):
        topics = plans[one.id]
        assert len({tuple(topics.get(topic, ())) for topic in TOPICS}) == 1
        for number in topics.get("a", ()):
            assert number not in found
            found[number] = at
    assert sorted(found) == list(range(width))
    return [found[number] for number in range(width)]


@st.composite
def groups(draw: st.DrawFn, *, most: int, widest: int) -> tuple[list[Member], int, dict[int, str | None]]:
    """Members that hold something (each partition at most once), some addresses, and slots in use."""
    width = draw(st.integers(1, widest))
    count = draw(st.integers(1, most))
    holder = draw(st.lists(st.integers(-1, count - 1), min_size=width, max_size=width))
    has = draw(st.lists(st.frozensets(st.sampled_from(ADDRESSES)), min_size=count, max_size=count))
    held = [frozenset(number for number in range(width) if holder[number] == at) for at in range(count)]
    slots = draw(st.dictionaries(st.integers(0, width - 1), st.sampled_from((None, *ADDRESSES))))
    return [member(at, held=held[at], has=has[at]) for at in range(count)], width, slots


def allowed(members: Sequence[Member], address: str | None) -> list[int]:
    """Who may have a slot that binds this."""
    able = [at for at, one in enumerate(members) if address is not None and one.can_bind(address)]
    return able or list(range(len(members)))


def cost(members: Sequence[Member], placed: Sequence[int], counted: Sequence[int], moved: Sequence[int]) -> int:
    """Evenness over `counted`, then how many of `moved` are away from whoever held them."""
    loads = [0] * len(members)
    for number in counted:
        loads[placed[number]] += 1
    held = {number: at for at, one in enumerate(members) for number in one.held}
    away = sum(held.get(number, placed[number]) != placed[number] for number in moved)
    return UNEVEN * sum(load * load for load in loads) + away


@given(groups(most=8, widest=64))
def test_an_address_decides_where_somebody_has_it(group: tuple[list[Member], int, dict[int, str | None]]) -> None:
    """A slot that binds goes to a member with the address; one whose address nobody has goes to anybody."""
    members, width, slots = group
    placed = owners(members, width, slots)
    for number in range(width):
        assert placed[number] in allowed(members, slots.get(number))


@given(st.integers(1, 200), st.integers(1, 30), st.integers(0, 10**6))
def test_sizes_differ_by_at_most_one(width: int, count: int, seed: int) -> None:
    """Whoever held what: 4 partitions on 3 members leave nobody idle (FAUST.md 12), in use or spare."""
    holders = [seed * (number + 1) // 7 % (count + 1) for number in range(width)]  # one in some is held by nobody
    members = [
        member(at, held=frozenset(number for number in range(width) if holders[number] == at)) for at in range(count)
    ]
    placed = owners(members, width, dict.fromkeys(range(0, width, 3)))
    for numbers in (range(width), range(0, width, 3)):
        loads = [sum(placed[number] == at for number in numbers) for at in range(count)]
        assert max(loads) - min(loads) <= 1


@settings(max_examples=150, deadline=None)
@given(groups(most=3, widest=5))
def test_no_plan_is_better(group: tuple[list[Member], int, dict[int, str | None]]) -> None:
    """Every plan there is, tried: slots in use as even as addresses allow and with fewest moves, then all of them."""
    members, width, slots = group
    placed = owners(members, width, slots)
    busy = [number for number in range(width) if number in slots]
    spare = [number for number in range(width) if number not in slots]
    every = list(itertools.product(*(allowed(members, slots.get(number)) for number in range(width))))
    assert cost(members, placed, busy, busy) == min(cost(members, one, busy, busy) for one in every)
    same = [one for one in every if all(one[number] == placed[number] for number in busy)]
    best = min(cost(members, one, range(width), spare) for one in same)
    assert cost(members, placed, range(width), spare) == best


@given(groups(most=6, widest=40), st.randoms(use_true_random=False))
def test_the_same_group_gives_the_same_plan(
    group: tuple[list[Member], int, dict[int, str | None]], random: object
) -> None:
    """The order in which members are named, which changes with every join, changes nothing."""
    members, width, slots = group
    shuffled = list(members)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own Random
    widths = dict.fromkeys(TOPICS, width)
    assert plan(widths, members, slots) == plan(widths, shuffled, slots)


@given(groups(most=6, widest=40))
def test_a_plan_stays(group: tuple[list[Member], int, dict[int, str | None]]) -> None:
    """Who holds what the plan gave is given the same again: a rebalance without a cause moves nothing."""
    members, width, slots = group
    placed = owners(members, width, slots)
    after = [
        Member(
            id=one.id,
            name=one.name,
            topics=one.topics,
            held=frozenset(number for number in range(width) if placed[number] == at),
            can_bind=one.can_bind,
        )
        for at, one in enumerate(members)
    ]
    assert owners(after, width, slots) == placed


def test_a_new_member_takes_only_its_share() -> None:
    """12 partitions on two members, a third comes: four move, all to it."""
    two = [member(0, held=frozenset(range(6))), member(1, held=frozenset(range(6, 12)))]
    before = owners(two, 12)
    after = owners([*two, member(2)], 12)
    moved = [number for number in range(12) if before[number] != after[number]]
    assert len(moved) == 4
    assert {after[number] for number in moved} == {2}


def test_a_new_member_takes_every_other_slot() -> None:
    """Slots are put to use from 0 on: the first eight of 64 must not all be with whoever came first."""
    after = owners([member(0, held=frozenset(range(64))), member(1)], 64)
    assert [sum(after[number] == at for number in range(8)) for at in (0, 1)] == [4, 4]


def test_local_state_decides_at_the_start() -> None:
    """Members that come back after all were gone get what their disks hold, not what their names' order says."""
    members = [member(0, held=frozenset({3, 4, 5})), member(1, held=frozenset({0, 1, 2}))]
    assert owners(members, 6) == [1, 1, 1, 0, 0, 0]


def test_of_two_that_claim_a_partition_the_one_with_less_gets_it() -> None:
    """Old state on a full disk does not pull partitions away from their owner."""
    members = [member(0, held=frozenset(range(8))), member(1, held=frozenset({0, 1, 2, 3}))]
    assert owners(members, 8) == [1, 1, 1, 1, 0, 0, 0, 0]


def test_who_does_not_read_all_topics_of_a_width_waits() -> None:
    """During a roll-out: one partition of two topics must not have two owners, so whoever reads both has both."""
    old = Member(id="0", name="m0", topics={"a"})
    new = Member(id="1", name="m1", topics={"a", "b"})
    assert plan({"a": 4, "b": 4}, [old, new]) == {"0": {}, "1": {"a": [0, 1, 2, 3], "b": [0, 1, 2, 3]}}


def test_topics_that_nobody_reads_together_are_apart() -> None:
    """Two kinds of member in one group: each topic goes to those that read it."""
    members = [Member(id="0", name="m0", topics={"a"}), Member(id="1", name="m1", topics={"b"})]
    assert plan({"a": 2, "b": 2}, members) == {"0": {"a": [0, 1]}, "1": {"b": [0, 1]}}
