"""Routes: what DNS says, and what is made of it when it says nothing or nonsense.  A real DNS server answers."""

from __future__ import annotations

import asyncio
import random

import pytest

from streams.delivery import routes
from streams.delivery.errors import PermanentRouteError, RouteError, TemporaryRouteError
from streams.delivery.routes import Route, Router, nameservers
from streams.runtime.settings import DnsSettings
from tests.delivery.builders import router, smtp_settings
from tests.support.dns import DnsServer, Zone


def hosts(route: Route) -> list[str]:
    """Host names in order."""
    return list(dict.fromkeys(target.host for target in route.targets))


async def test_hosts_come_by_preference_with_all_their_addresses() -> None:
    """Lower preference first, IPv4 before IPv6, the settings' port."""
    zone = (
        Zone()
        .add("a.example", "MX", "20 backup.a.example.", "5 first.a.example.")
        .add("first.a.example", "A", "127.0.0.3", "127.0.0.2")
        .add("first.a.example", "AAAA", "::1")
        .add("backup.a.example", "A", "127.0.0.4")
    )
    async with DnsServer(zone) as server:
        route = await router(server, port=2525).resolve("A.example.")
    assert [(target.host, target.address, target.port) for target in route.targets] == [
        ("first.a.example", "127.0.0.2", 2525),
        ("first.a.example", "127.0.0.3", 2525),
        ("first.a.example", "::1", 2525),
        ("backup.a.example", "127.0.0.4", 2525),
    ]


async def test_equal_preferences_are_shuffled_by_the_seed_alone() -> None:
    """RFC 5321 5.1 spreads load over equal hosts; the same seed repeats its order, and seeds differ."""
    names = [f"mx{number}.a.example" for number in range(5)]
    zone = Zone().add("a.example", "MX", *(f"10 {name}." for name in names))
    for name in names:
        zone.add(name, "A", "127.0.0.1")
    async with DnsServer(zone) as server:
        orders = [hosts(await router(server, seed=seed).resolve("a.example")) for seed in (1, 1, 2, 3)]
    assert orders[0] == orders[1] and len({tuple(order) for order in orders}) > 1
    assert all(sorted(order) == names for order in orders)


async def test_a_domain_without_mx_is_its_own_mail_host() -> None:
    """Implicit MX, RFC 5321 5.1."""
    async with DnsServer(Zone().add("a.example", "A", "127.0.0.9")) as server:
        route = await router(server).resolve("a.example")
    assert [(target.host, target.address) for target in route.targets] == [("a.example", "127.0.0.9")]


async def test_an_alias_is_followed() -> None:
    """A domain that is a CNAME, and an MX that names one (against RFC 2181 10.3, but met), still lead somewhere."""
    zone = (
        Zone()
        .add("alias.example", "CNAME", "a.example.")
        .add("a.example", "MX", "10 mx.a.example.")
        .add("mx.a.example", "CNAME", "host.a.example.")
        .add("host.a.example", "A", "127.0.0.5")
    )
    async with DnsServer(zone) as server:
        route = await router(server).resolve("alias.example")
    assert [(target.host, target.address) for target in route.targets] == [("mx.a.example", "127.0.0.5")]


@pytest.mark.parametrize(
    ("zone", "error", "class_"),
    [
        (Zone().add("a.example", "MX", "0 ."), PermanentRouteError, "null_mx"),
        (Zone().add("b.example", "A", "127.0.0.1"), PermanentRouteError, "no_such_domain"),
        (Zone().add("a.example", "TXT", "x"), PermanentRouteError, "no_mail_host"),
        (Zone().add("a.example", "MX", "10 gone.a.example."), PermanentRouteError, "no_mail_host"),
        (Zone().add("a.example", "MX", "10 127.0.0.1."), PermanentRouteError, "no_mail_host"),
        (Zone().fail("a.example", "SERVFAIL"), TemporaryRouteError, "dns"),
        (Zone().fail("a.example", "REFUSED"), TemporaryRouteError, "dns"),
        (Zone().silence("a.example"), TemporaryRouteError, "dns"),
        (Zone().add("a.example", "MX", "10 mx.a.example.").fail("mx.a.example"), TemporaryRouteError, "dns"),
    ],
    ids=["null", "nxdomain", "nothing", "mx-gone", "mx-literal", "servfail", "refused", "silent", "mx-servfail"],
)
async def test_no_route_is_permanent_only_when_dns_says_so(zone: Zone, error: type[RouteError], class_: str) -> None:
    """A denial is permanent; an error or silence is temporary."""
    async with DnsServer(zone) as server:
        with pytest.raises(error) as caught:
            await router(server, timeout_s=0.5).resolve("a.example")
    assert caught.value.class_ == class_ and "a.example" in str(caught.value)


async def test_a_host_that_fails_leaves_the_others() -> None:
    """One MX without address, one whose DNS is broken, a literal and a stray '.': the good one is the route."""
    values = ("10 gone.a.example.", "10 broken.a.example.", "10 127.0.0.1.", "10 .", "20 good.a.example.")
    zone = Zone().add("a.example", "MX", *values).fail("broken.a.example").add("good.a.example", "A", "127.0.0.1")
    async with DnsServer(zone) as server:
        assert hosts(await router(server).resolve("a.example")) == ["good.a.example"]


@pytest.mark.parametrize("domain", ["a" * 64 + ".example", "a..example", ".".join(["abcdefg"] * 40)])
async def test_a_name_that_cannot_be_is_permanent(domain: str) -> None:
    """No traceback for a domain that DNS can't hold."""
    async with DnsServer(Zone()) as server:
        with pytest.raises(PermanentRouteError, match="can't be a domain"):
            await router(server).resolve(domain)


@pytest.mark.parametrize("zone", [Zone().add("a.example", "A", "127.0.0.1"), Zone(), Zone().fail("a.example")])
async def test_a_hundred_askers_are_one_query(zone: Zone) -> None:
    """Concurrent resolves share one answer, good or bad, and later ones the cache."""
    zone.delay("a.example", 0.05)
    async with DnsServer(zone) as server:
        routes_ = router(server)
        found = await asyncio.gather(*(routes_.resolve("a.example") for _ in range(100)), return_exceptions=True)
        await asyncio.gather(routes_.resolve("a.example"), return_exceptions=True)
        assert server.queries["a.example", "MX"] == 1 and server.queries["a.example", "A"] <= 1
    assert len({type(one) for one in found}) == 1 and len({id(one) for one in found if isinstance(one, Exception)}) in {
        0,
        100,
    }


async def test_one_who_gives_up_does_not_take_the_answer_from_others() -> None:
    """Cancelling the first asker leaves the shared query running."""
    zone = Zone().add("a.example", "A", "127.0.0.1").delay("a.example", 0.05)
    async with DnsServer(zone) as server:
        routes_ = router(server)
        first = asyncio.create_task(routes_.resolve("a.example"))
        second = asyncio.create_task(routes_.resolve("a.example"))
        await asyncio.sleep(0)
        first.cancel()
        assert hosts(await second) == ["a.example"]


@pytest.mark.parametrize(
    ("zone", "lifetime_s"),
    [
        (Zone().add("a.example", "A", "127.0.0.1", ttl=120), 60.0),  # the MX denial's TTL is the shorter
        (
            Zone().add("a.example", "MX", "0 mx.a.example.", ttl=120).add("mx.a.example", "A", "127.0.0.1", ttl=200),
            120.0,
        ),
        (Zone(negative_ttl=5), routes.MIN_TTL_S),
        (Zone(negative_ttl=100_000), routes.MAX_NEGATIVE_TTL_S),
        (Zone().fail("a.example"), routes.FAILURE_TTL_S),
    ],
    ids=["implicit", "mx", "short-denial", "long-denial", "failure"],
)
async def test_an_answer_lives_as_long_as_its_ttl_within_bounds(zone: Zone, lifetime_s: float) -> None:
    """Just before its end the cache answers, just after it DNS is asked again."""
    now = 1000.0
    async with DnsServer(zone) as server:
        routes_ = Router(
            smtp=smtp_settings(), dns=DnsSettings(servers=server.address), rng=random.Random(1), clock=lambda: now
        )
        await asyncio.gather(routes_.resolve("a.example"), return_exceptions=True)
        now += lifetime_s - 2
        await asyncio.gather(routes_.resolve("a.example"), return_exceptions=True)
        assert server.queries["a.example", "MX"] == 1
        now += 4
        await asyncio.gather(routes_.resolve("a.example"), return_exceptions=True)
        assert server.queries["a.example", "MX"] == 2


async def test_a_truncated_answer_is_fetched_by_tcp() -> None:
    """RFC 7766: some answers don't fit a datagram."""
    zone = Zone().add("a.example", "MX", "10 mx.a.example.").truncate("a.example").add("mx.a.example", "A", "127.0.0.1")
    async with DnsServer(zone) as server:
        assert hosts(await router(server).resolve("a.example")) == ["mx.a.example"]


@pytest.mark.parametrize(
    ("route", "target"),
    [
        ("smarthost:127.0.0.1:2525", ("127.0.0.1", "127.0.0.1", 2525)),
        ("smarthost:[::1]:2525", ("::1", "::1", 2525)),
    ],
)
async def test_a_smarthost_by_address_asks_no_dns(route: str, target: tuple[str, str, int]) -> None:
    """Every domain leads there."""
    found = await router(None, route=route).resolve("a.example")
    assert [(one.host, one.address, one.port) for one in found.targets] == [target]


async def test_a_smarthost_by_name_is_the_systems_to_know() -> None:
    """`localhost` stands in /etc/hosts, not in DNS."""
    found = await router(None, route="smarthost:localhost:2525").resolve("a.example")
    assert "127.0.0.1" in {target.address for target in found.targets}


def test_resolvers_are_read_with_their_ports() -> None:
    """The three ways to write one, and several."""
    found = nameservers("127.0.0.1:5353, 192.0.2.1,[2001:db8::1]:54 , 2001:db8::2")
    assert [(server.address, server.port) for server in found] == [
        ("127.0.0.1", 5353),
        ("192.0.2.1", 53),
        ("2001:db8::1", 54),
        ("2001:db8::2", 53),
    ]


@pytest.mark.parametrize("bad", ["resolver.example", "127.0.0.1:x", "127.0.0.1:0", "127.0.0.1:70000"])
def test_a_bad_resolver_is_named_with_its_fix(bad: str) -> None:
    """The message holds the value and the form expected."""
    with pytest.raises(ValueError, match=r"dns\.servers: .* write ADDRESS"):
        nameservers(bad)
