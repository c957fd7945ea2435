"""Marketing goes under its pool's and provider's credit; transactional mail never waits for it, and is paid for.

The oracle is the lease: what goes in a time is no more than its rate allows, and no less where enough waits.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.spread.pace import DEEPEST_S
from tests.gate.builders import NOW, TRANSACTIONAL, Scene

DOMAINS = {"docomo.example": "docomo", "gmail.example": "gmail"}


def leased(pool: float = 1000.0, **providers: float) -> Scene:
    """A scene whose pool may send so many a second, and to some providers fewer."""
    scene = Scene(providers=DOMAINS)
    scene.campaign("reset", kind="transactional")
    scene.lease(
        per_pool_s={"shared": pool}, capacity_per_s={f"shared/{name}": rate for name, rate in providers.items()}
    )
    return scene


def reset(scene: Scene, number: int) -> list[str]:
    """A transactional mail; the types of what was said of it beside a send."""
    out = scene.ask(f"r{number}", campaign_id="reset", dedup_key="1", topic=TRANSACTIONAL)
    assert len(out.sends) == 1
    return out.types


def test_under_credit_a_mail_goes_at_once_and_beyond_it_waits() -> None:
    """The waiting event names the rule; what waits goes at the rate that is leased, the oldest first."""
    scene = leased(docomo=10.0)
    assert len(scene.ask("first").sends) == 1
    scene.later(milliseconds=1)
    (event,) = scene.ask("second").deliveries
    (rule,) = event.rules
    assert (event.type, event.class_, rule.rule) == ("waiting", "capacity", "capacity")
    assert rule.value == "what pool shared may send to docomo is taken or not granted"
    for number in range(40):
        scene.later(milliseconds=1)
        assert not scene.ask(f"u{number:02}").sends
    order = []
    for _ in range(8):
        scene.later(milliseconds=500)
        order += [one.recipient_id for one in scene.release().sends]
    assert order == ["second", *(f"u{number:02}" for number in range(39))]


@given(
    rate=st.floats(0.5, 200),
    pool=st.floats(0.5, 200),
    steps=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 20), st.booleans()), min_size=3, max_size=12),
)
@settings(max_examples=30, deadline=None)
def test_no_more_goes_than_was_leased_and_no_less(rate: float, pool: float, steps: list[tuple[int, int, bool]]) -> None:
    """In any run: at most the first token and the time's worth, a second at a time; while mail waits, that much."""
    scene, went, begun = leased(pool, docomo=rate), 0, None
    least = min(rate, pool)
    for wait_ms, asked, released in steps:
        scene.later(milliseconds=wait_ms)
        for number in range(asked):
            went += len(scene.ask(f"u{scene.offset}-{number}").sends)
        if released:
            went += len(scene.release().sends)
        begun = begun or scene.now
        assert went <= 1.0 + least * (scene.now - begun).total_seconds() + 1e-6
    backlog, at = scene.desk.waiting, scene.now
    while scene.desk.waiting and scene.now - at < timedelta(seconds=10):
        before = scene.desk.waiting
        due = scene.desk.next_release(scene.now)
        assert due is not None
        scene.now = max(due, scene.now + timedelta(milliseconds=100))
        scene.release()
        assert scene.desk.waiting <= before
    spent = (scene.now - at).total_seconds()
    assert backlog - scene.desk.waiting >= min(backlog, int(least * max(0.0, spent - 1.0)))


def test_what_the_lease_does_not_name_has_nothing_but_a_provider_without_a_limit_has_the_pools() -> None:
    """A pool of no name waits; a provider of no name goes by the pool's credit alone; one at 0 waits."""
    scene = leased(pool=2.0, docomo=0.0)
    scene.campaign("elsewhere", pool="other")
    scene.egress(3, pool="other")
    assert scene.ask("a", campaign_id="elsewhere").types == ["waiting"]
    assert scene.ask("b").types == ["waiting"]
    assert len(scene.ask("c", to={"address": "c@gmail.example"}).sends) == 1
    scene.later(seconds=60)
    assert not scene.release().sends


def test_a_lease_that_names_no_pool_bounds_nothing_but_paces() -> None:
    """As from a CONTROL that leases paces alone."""
    scene = Scene()
    scene.lease({"acme:other": 1.0}, ttl_s=4)
    for number in range(50):
        assert len(scene.ask(f"u{number}").sends) == 1


def test_before_the_first_lease_marketing_waits() -> None:
    """A partition that CONTROL never spoke to deals transactional mail alone; the first lease sets the others free."""
    scene = leased()
    scene.apply("leases", "0", None)
    assert scene.ask("a").types == ["waiting"]
    reset(scene, 1)
    assert scene.desk.next_release(scene.now) == scene.now + timedelta(seconds=1)
    scene.lease(per_pool_s={"shared": 1000.0})
    scene.later(milliseconds=2)
    assert len(scene.release().sends) == 1


def test_after_the_leases_end_marketing_waits() -> None:
    """A partition that has lost touch with CONTROL spends nothing more; transactional mail goes on."""
    scene = leased()
    scene.lease(ttl_s=4, per_pool_s={"shared": 1000.0})
    assert len(scene.ask("a").sends) == 1
    scene.later(seconds=4)
    assert scene.ask("b").types == ["waiting"]
    reset(scene, 1)
    scene.later(seconds=1)
    assert not scene.release().sends
    scene.lease(per_pool_s={"shared": 1000.0})
    assert not scene.release().sends, "nothing has come in since"
    scene.later(milliseconds=2)
    assert len(scene.release().sends) == 1


def test_nobody_overtakes_what_waits_for_capacity() -> None:
    """A later mail that meets a fresh token waits behind the earlier ones, also one of another campaign."""
    scene = leased(pool=100.0, docomo=1.0)
    scene.campaign("other")
    scene.ask("first")
    for number in range(3):
        scene.later(milliseconds=1)
        scene.ask(f"u{number}")
    scene.later(seconds=0.9)
    scene.release()
    scene.later(seconds=0.2)
    assert scene.ask("late").types == ["waiting"]
    assert scene.ask("later", campaign_id="other").types == ["waiting"]
    assert len(scene.ask("gmail", to={"address": "g@gmail.example"}).sends) == 1
    assert [one.recipient_id for one in scene.release().sends] == ["u0"]
    scene.later(seconds=1)
    assert scene.ask("latest").types == ["waiting"], "also behind what a release has left"


def test_transactional_mail_never_waits_and_marketing_yields() -> None:
    """Its sends are taken off the pool's and the provider's credit, ten seconds' worth at most."""
    scene = leased(pool=10.0)
    for number in range(60):
        assert reset(scene, number) == []
    assert scene.ask("a").types == ["waiting"]
    scene.later(seconds=5.9)
    assert not scene.release().sends
    scene.later(seconds=0.2)
    assert len(scene.release().sends) == 1, "59 overdrawn at 10 a second"
    for number in range(60, 1060):
        assert reset(scene, number) == []
    scene.ask("b")
    scene.later(seconds=DEEPEST_S - 0.1)
    assert not scene.release().sends
    scene.later(seconds=0.3)
    assert len(scene.release().sends) == 1


def test_a_return_spends_like_a_new_mail_of_its_kind() -> None:
    """Marketing that comes back waits for capacity, though for no pace; transactional does not."""
    scene = leased(docomo=1.0)
    (mail,) = scene.ask("m").sends
    (word,) = scene.ask("t", campaign_id="reset", dedup_key="1", topic=TRANSACTIONAL).sends
    scene.give("retry", mail)
    scene.give("retry", word)
    assert [one.recipient_id for one in scene.release().sends] == ["t"]
    scene.later(seconds=3)
    assert [one.recipient_id for one in scene.release().sends] == ["m"]


@pytest.mark.parametrize("pool", [5.0, 50.0])
def test_drained_mail_goes_out_again_evenly_at_the_rate_of_the_pool(pool: float) -> None:
    """An IP goes: what waited at it comes back, and is spread over the others within the bound, as credit allows."""
    scene = leased(pool=1000.0)
    sends = []
    for number in range(400):
        sends += scene.ask(f"u{number}").sends
        scene.later(milliseconds=2)
    scene.egress(0, state="drained")
    scene.lease(per_pool_s={"shared": pool})
    gone = [one for one in sends if one.slot == 0]
    assert len(gone) == 100
    for one in gone:
        scene.give("drained", one)
    dealt, began = [], scene.now
    while scene.desk.waiting:
        dealt += scene.release().sends
        scene.later(milliseconds=100)
        assert len(dealt) <= pool * (scene.now - began).total_seconds() + 1000
    counts = [sum(one.slot == slot for one in dealt) for slot in range(4)]
    assert counts[0] == 0 and max(counts[1:]) - min(counts[1:]) <= 2
    assert {one.send_id for one in dealt} == {one.send_id for one in gone}
    assert {(one.deal, one.weights_version != 0) for one in dealt} == {(2, True)}


def test_what_waits_for_capacity_ends_in_time() -> None:
    """It expires though nothing is granted, each by its own time; a cancellation ends all at once."""
    scene = leased(docomo=0.0)
    for number in range(3):
        scene.ask(f"u{number}")
        scene.later(hours=1)
    for left in (2, 1, 0):
        scene.now = NOW + timedelta(hours=24 + 2 - left, milliseconds=-1)
        assert not scene.release().finals
        scene.later(milliseconds=1)
        assert [one.type for one in scene.release().finals] == ["expired"]
    for number in range(50):
        scene.ask(f"v{number}")
    scene.campaign(state="cancelled")
    assert [one.type for one in scene.release().finals] == ["cancelled"] * 50


def test_it_wakes_for_its_credit_and_not_before() -> None:
    """The next release is when a token is there; without a rate, a second's idling."""
    scene = leased(docomo=4.0)
    scene.ask("a")
    scene.ask("b")
    due = scene.desk.next_release(scene.now)
    assert due is not None and timedelta(seconds=0.24) < due - scene.now < timedelta(seconds=0.26)
    scene.lease(per_pool_s={"shared": 0.0})
    assert scene.desk.next_release(scene.now) == scene.now + timedelta(seconds=1)


def test_a_restart_gives_no_more_than_one_mail() -> None:
    """Buckets begin with one token each, so a partition that changes hands adds one send, not a second's worth."""
    scene = leased(docomo=50.0)
    went = sum(len(scene.ask(f"u{number}").sends) for number in range(100))
    scene.restarted()
    assert went == 1 and len(scene.release().sends) == 1


def test_a_mail_that_came_back_goes_before_what_is_new() -> None:
    """Within a campaign: the returned lane first, though both need the same credit."""
    scene = leased(docomo=1.0)
    (sent,) = scene.ask("back").sends
    for number in range(3):
        scene.ask(f"u{number}")
    scene.give("parked", msgspec.structs.replace(sent, attempt=1))
    scene.later(seconds=1)
    assert [one.recipient_id for one in scene.release().sends] == ["back"]
