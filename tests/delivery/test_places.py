"""Places: limits kept and nobody forgotten, under any order of taking, giving back and giving up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.delivery.places import Places


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 4))
def test_limits_hold_and_every_waiter_is_served(seed: int, per_host: int, in_all: int) -> None:
    """Forty users of three hosts, some giving up: never above a limit, and at the end nothing is held."""
    rng = random.Random(seed)

    async def run() -> None:
        held: Counter[str] = Counter()

        def end(host: str, _: object) -> None:
            held[host] -= 1
            asyncio.get_running_loop().call_soon(places.ended, host)

        places: Places[object] = Places(per_host=per_host, in_all=in_all, end=end)
        served = 0

        async def use(host: str) -> None:
            nonlocal served
            connection = await places.take(host)
            if connection is None:
                connection = object()
                held[host] += 1
            assert held[host] <= per_host and held.total() <= in_all
            broken = True
            try:
                for _ in range(rng.randrange(3)):
                    await asyncio.sleep(0)
                served += 1
                broken = rng.random() < 0.3
            finally:
                if broken:
                    held[host] -= 1
                    places.free(host)
                else:
                    places.put(places.number(), host, connection)

        tasks = [asyncio.create_task(use(rng.choice("abc"))) for _ in range(40)]
        await asyncio.sleep(0)
        given_up = [task for task in tasks if rng.random() < 0.2 and task.cancel()]
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1)
        assert served >= 40 - len(given_up)
        assert not [error for error in done if isinstance(error, Exception)]
        for host, _ in places.drain():
            places.ended(host)
        assert places.total == 0

    asyncio.run(run())


async def test_waiters_of_a_host_are_served_in_order() -> None:
    """First come, first served."""
    places: Places[int] = Places(per_host=1, in_all=9, end=lambda host, held: None)
    assert await places.take("a") is None
    order: list[int] = []

    async def wait(number: int) -> None:
        held = await places.take("a")
        order.append(number)
        assert held == 7
        places.put(places.number(), "a", 7)

    tasks = [asyncio.create_task(wait(number)) for number in range(5)]
    await asyncio.sleep(0)
    places.put(places.number(), "a", 7)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 4))
def test_a_providers_hosts_share_its_places(seed: int, per_host: int, most: int) -> None:
    """A and b are one provider's: never more than its own to both, whoever idles where, and nobody is forgotten."""
    rng = random.Random(seed)

    async def run() -> None:
        held: Counter[str] = Counter()

        def end(host: str, _: object) -> None:
            held[host] -= 1
            asyncio.get_running_loop().call_soon(places.ended, host)

        places: Places[object] = Places(per_host=per_host, in_all=6, end=end)

        async def use(host: str) -> None:
            if host != "c":
                places.belongs(host, "one", most)
            connection = await places.take(host)
            if connection is None:
                connection = object()
                held[host] += 1
            assert held["a"] + held["b"] <= most
            for _ in range(rng.randrange(3)):
                await asyncio.sleep(0)
            places.put(places.number(), host, connection)

        await asyncio.wait_for(asyncio.gather(*(use(rng.choice("abc")) for _ in range(40))), 1)
        for host, _ in places.drain():
            places.ended(host)
        assert places.total == 0

    asyncio.run(run())
