"""The hold: who leaves when, and that nobody waits longer than ten seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.hold import HOLD_S, MARKETING, MOST, MOST_UNRATED, Hold

ARRIVALS = st.lists(
    st.tuples(
        st.floats(0, 2),
        st.sampled_from(["gmail", "docomo", "mx:a.example"]),
        st.sampled_from(["transactional", "marketing"]),
    ),
    max_size=120,
)


def everybody_leaves(hold: Hold[int], now: float) -> list[tuple[str, int]]:
    """Let all go that may."""
    return [(how, item) for how, _, item in hold.leave(now, lambda _: 0.0)]


@given(arrivals=ARRIVALS, rate=st.floats(0.2, 20))
def test_each_leaves_once_within_ten_seconds_and_in_its_order(
    arrivals: list[tuple[float, str, str]], rate: float
) -> None:
    """Each provider at its rate; who can't go in time leaves late, and no second late."""
    hold: Hold[int] = Hold()
    free_at: dict[str, float] = {}
    left: list[tuple[float, str, str, int]] = []
    put: dict[int, tuple[float, str, str]] = {}
    now = 0.0

    def wait_s(provider: str) -> float:
        return free_at.get(provider, 0.0) - now

    def pump(until: float) -> None:
        nonlocal now
        while (at := hold.next_at()) is not None and at <= until:
            now = max(now, at)
            for how, provider, item in hold.leave(now, wait_s):
                left.append((now, how, provider, item))
                if how == "goes":
                    free_at[provider] = now + 1 / rate
        now = until

    for number, (passed, provider, kind) in enumerate(arrivals):
        pump(now + passed)
        put[number] = now, provider, kind
        hold.put(number, provider, kind, now=now, wait_s=max(0.0, wait_s(provider)))
    pump(now + HOLD_S + 1)
    assert len(hold) == 0
    assert sorted(item for *_, item in left) == sorted(put)
    for at, how, _, item in left:
        waited = at - put[item][0]
        assert waited <= HOLD_S + 0.01
        assert how == "goes" or waited >= HOLD_S - 1e-6
    for provider in ("gmail", "docomo", "mx:a.example"):
        for kind in ("transactional", "marketing"):
            order = [item for _, _, of, item in left if of == provider and put[item][2] == kind]
            assert order == sorted(order)


def test_transactional_mail_goes_first() -> None:
    """Also where it came later; of one provider as of all."""
    hold: Hold[int] = Hold()
    hold.put(1, "gmail", "marketing", now=0.0, wait_s=1.0)
    hold.put(2, "gmail", "transactional", now=0.5, wait_s=0.5)
    assert hold.ahead("gmail", "transactional") == 1
    assert hold.ahead("gmail", "marketing") == 2
    assert everybody_leaves(hold, 1.0) == [("goes", 2), ("goes", 1)]


def test_who_waits_for_a_connection_is_looked_at_when_one_is_free() -> None:
    """An infinite wait ends by `look`, or after ten seconds."""
    hold: Hold[int] = Hold()
    hold.put(1, "gmail", "marketing", now=0.0, wait_s=float("inf"))
    assert hold.next_at() == HOLD_S
    assert hold.look("gmail", 3.0)
    assert not hold.look("docomo", 3.0)
    assert hold.next_at() == 3.0
    assert [how for how, _, _ in hold.leave(3.0, lambda _: float("inf"))] == []
    assert hold.next_at() == HOLD_S
    assert [how for how, _, _ in hold.leave(HOLD_S, lambda _: float("inf"))] == ["late"]
    assert hold.next_at() is None


def test_its_room_is_bounded_and_keeps_a_part_for_transactional_mail() -> None:
    """Whoever waits for a password does not wait for a newsletter's sake."""
    hold: Hold[int] = Hold()
    while hold.has_room("marketing"):
        hold.put(0, "gmail", "marketing", now=0.0, wait_s=5.0, most=MOST)
    assert len(hold) == MARKETING * MOST
    while hold.has_room("transactional"):
        hold.put(0, "docomo", "transactional", now=0.0, wait_s=5.0, most=MOST)
    assert len(hold) == MOST
    assert len(everybody_leaves(hold, 5.0)) == MOST
    assert hold.has_room("marketing")


def test_a_provider_of_which_nobody_knows_how_soon_it_goes_has_less_room() -> None:
    """Then its lane waits, until enough of them went."""
    hold: Hold[int] = Hold()
    while hold.has_room("marketing"):
        hold.put(0, "mx:hoster.example", "marketing", now=0.0, wait_s=float("inf"))
    assert len(hold) == MARKETING * MOST_UNRATED
    assert hold.has_room("transactional")
    hold.look("mx:hoster.example", 1.0)
    goes = iter([0.0, float("inf")])
    assert len(list(hold.leave(1.0, lambda _: next(goes)))) == 1
    assert hold.has_room("marketing")
