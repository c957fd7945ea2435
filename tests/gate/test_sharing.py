"""What is short is shared by the tenants' weights, by pool and by provider, whatever their campaigns and volumes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas import ids
from streams.gate.sharing import TURN
from tests.gate.builders import Scene

DOMAINS = {f"{name}.example": name for name in ("docomo", "gmail", "yahoo")}


class Pool:
    """Tenants with campaigns at some providers, and a lease."""

    def __init__(self, weights: dict[str, float]) -> None:
        """Each tenant with its weight."""
        self.scene = Scene(providers=DOMAINS)
        for name, weight in weights.items():
            self.scene.tenant(name, weight=weight)
        self.campaigns: set[tuple[str, str]] = set()

    def waits(self, tenant: str, mails: int, *, campaign: str = "c", provider: str = "docomo") -> None:
        """So many mails of a tenant that can't go yet."""
        if (tenant, campaign) not in self.campaigns:
            self.campaigns.add((tenant, campaign))
            self.scene.campaign(campaign, tenant=tenant)
        self.scene.lease(per_pool_s={"shared": 0.0})
        for number in range(mails):
            out = self.scene.ask(
                f"{campaign}{provider}{number}",
                tenant=tenant,
                campaign_id=campaign,
                to={"address": f"u{number}@{provider}.example"},
            )
            assert out.types == ["waiting"]

    def runs(self, seconds: float, pool: float, **providers: float) -> Counter[tuple[str, str]]:
        """Sends by tenant and provider in that time, looked at ten times a second."""
        sent = Counter[tuple[str, str]]()
        for _ in range(round(seconds * 10)):
            self.scene.later(milliseconds=100)
            capacity = {f"shared/{name}": rate for name, rate in providers.items()}
            self.scene.lease(per_pool_s={"shared": pool}, capacity_per_s=capacity)
            sent.update((one.tenant, one.provider) for one in self.scene.release(limit=300).sends)
        return sent


def by_tenant(sent: Counter[tuple[str, str]]) -> Counter[str]:
    """Sends by tenant."""
    found = Counter[str]()
    for (tenant, _), count in sent.items():
        found[tenant] += count
    return found


def test_a_burst_takes_no_more_than_its_share() -> None:
    """Two thousand of one tenant beside two hundred of another: the small one is through in twice its time alone."""
    pool = Pool({"big": 1.0, "small": 1.0})
    pool.waits("big", 2000)
    pool.waits("small", 200)
    sent = by_tenant(pool.runs(4, 100.0))
    assert abs(sent["big"] - sent["small"]) <= 2 * TURN and sent["big"] + sent["small"] >= 390


def test_weights_are_shares() -> None:
    """Three to one."""
    pool = Pool({"heavy": 3.0, "light": 1.0})
    for name in ("heavy", "light"):
        pool.waits(name, 800)
    sent = by_tenant(pool.runs(8, 100.0))
    assert abs(sent["heavy"] - 3 * sent["light"]) <= 4 * TURN


def test_many_campaigns_are_no_larger_share() -> None:
    """A tenant's campaigns share what is the tenant's, by turns."""
    pool = Pool({"many": 1.0, "one": 1.0})
    for number in range(5):
        pool.waits("many", 200, campaign=f"c{number}")
    pool.waits("one", 800)
    sent = by_tenant(pool.runs(6, 100.0))
    assert abs(sent["many"] - sent["one"]) <= 2 * TURN


def test_many_providers_are_no_larger_share_of_a_pool_that_is_short() -> None:
    """One writes to three providers, one to a single one: half of the pool each."""
    pool = Pool({"wide": 1.0, "narrow": 1.0})
    for provider in DOMAINS.values():
        pool.waits("wide", 300, provider=provider)
    pool.waits("narrow", 600, provider="gmail")
    sent = by_tenant(pool.runs(5, 100.0))
    assert abs(sent["wide"] - sent["narrow"]) <= 2 * TURN


def test_a_short_provider_is_shared_though_one_tenant_has_most_of_the_pool() -> None:
    """Where gmail alone is short, both have half of it; who writes elsewhere too has the rest of the pool."""
    pool = Pool({"wide": 1.0, "narrow": 1.0})
    pool.waits("wide", 1500, provider="docomo")
    pool.waits("wide", 300, provider="gmail")
    pool.waits("narrow", 300, provider="gmail")
    sent = pool.runs(8, 200.0, gmail=5.0)
    assert abs(sent["wide", "gmail"] - sent["narrow", "gmail"]) <= 2
    assert sent["wide", "gmail"] + sent["narrow", "gmail"] >= 38
    assert sent["wide", "docomo"] >= 1300


def test_whom_a_short_provider_passed_over_has_its_turn_in_the_same_release() -> None:
    """First of the pool but not of the provider: who is first there goes, and then it does; no credit is left over."""
    pool = Pool({"a": 1.0, "b": 1.0, "c": 1.0})
    for tenant, mails, provider in (("c", 2, "gmail"), ("a", 1, "gmail"), ("b", 40, "docomo")):
        pool.waits(tenant, mails, provider=provider)
        pool.runs(2, 200.0, gmail=2.0)
    for tenant in ("a", "c", "b"):
        pool.waits(tenant, 5, campaign="d", provider="gmail")
    sent = pool.runs(0.1, 200.0, gmail=2.0)
    assert sent == {("b", "gmail"): 1, ("a", "gmail"): 1}


def test_one_that_comes_late_has_no_back_pay_and_no_wait() -> None:
    """After a minute of another's mail alone it has its half at once, not more."""
    pool = Pool({"early": 1.0, "late": 1.0})
    pool.waits("early", 1500)
    pool.runs(10, 100.0)
    pool.waits("late", 300)
    sent = by_tenant(pool.runs(2, 100.0))
    assert abs(sent["late"] - sent["early"]) <= 2 * TURN


def test_a_pace_of_ones_own_leaves_the_rest_to_others() -> None:
    """A tenant held by its campaign's pace takes that; the pool's other credit is not lost."""
    pool = Pool({"paced": 1.0, "free": 1.0})
    pool.scene.campaign("p", tenant="paced", pace_per_s=1.0)
    for number in range(50):
        fields: dict[str, Any] = {"tenant": "paced", "campaign_id": "p"}
        pool.scene.ask(f"p{number}", **fields)
    pool.waits("free", 600)
    sent = Counter[str]()
    for _ in range(50):
        pool.scene.later(milliseconds=100)
        pool.scene.lease({"paced:p": 5.0}, per_pool_s={"shared": 100.0})
        sent.update(one.tenant for one in pool.scene.release().sends)
    assert 20 <= sent["paced"] <= 30 and sent["free"] >= 450


def test_shares_in_each_partition_are_shares_of_the_pool() -> None:
    """Four partitions share each for itself; by hash of the recipient, the sum is within a twentieth of the weights."""
    mails, partitions = {"big": 3000, "mid": 1000, "small": 400}, 4
    scenes = [Scene(partitions=partitions, partition=number, providers=DOMAINS) for number in range(partitions)]
    for scene in scenes:
        for tenant in mails:
            scene.tenant(tenant)
            scene.campaign("c", tenant=tenant)
        scene.lease(per_pool_s={"shared": 0.0})
    for tenant, count in mails.items():
        for number in range(count):
            name, domain = f"u{number}", list(DOMAINS)[number % len(DOMAINS)]
            home = scenes[ids.partition_for(f"{tenant}:{name}".encode(), partitions)]
            home.ask(name, tenant=tenant, campaign_id="c", to={"address": f"{name}@{domain}"})
    sent = Counter[str]()
    for _ in range(30):
        for scene in scenes:
            scene.later(milliseconds=100)
            scene.lease(per_pool_s={"shared": 300.0 / partitions})
            sent.update(one.tenant for one in scene.release(limit=300).sends)
    assert max(sent.values()) <= 1.05 * min(sent.values()) and sum(sent.values()) >= 860


def test_pools_take_turns_where_a_release_is_too_small_for_both() -> None:
    """Each of two pools with much waiting has every other release."""
    scene = Scene()
    scene.egress(3, pool="second")
    for name, pool in (("a", "shared"), ("b", "second")):
        scene.campaign(name, pool=pool, state="paused")
        for number in range(100):
            scene.ask(f"u{number}", campaign_id=name)
    for name, pool in (("a", "shared"), ("b", "second")):
        scene.campaign(name, pool=pool)
    sent = Counter(one.campaign_id for _ in range(6) for one in scene.release(limit=10).sends)
    assert sent == {"a": 30, "b": 30}
