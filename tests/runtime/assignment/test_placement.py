"""When a worker asks for a new plan, how often, and what comes of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.app import make_app
from streams.runtime.assignment.addresses import NOWHERE, Addresses
from streams.runtime.assignment.placement import FIRST_S, LAST_S, Cause, Pace, Placement, homeless, misplaced
from streams.runtime.transport.assignor import CoPartitionedAssignor
from tests.runtime.builders import deployed
from tests.runtime.transport.test_membership import until_true

ONE, TWO, NOBODYS = "127.0.0.1", "127.0.0.2", "192.0.2.9"
BOTH = Addresses.of([ONE, TWO])


@pytest.mark.parametrize(
    ("held", "address", "here", "everybodys", "asks"),
    [
        ({0}, ONE, [ONE], [ONE, TWO], False),
        ({0}, TWO, [ONE], [ONE, TWO], True),
        ({0}, NOBODYS, [ONE], [ONE, TWO], False),
        ({0}, None, [], [], False),
        ({0}, "0.0.0.0", [], [], False),
        (set(), ONE, [ONE], [ONE, TWO], False),  # whoever holds it sees it, and asks
        (set(), NOBODYS, [ONE, NOBODYS], [ONE, TWO], True),  # an interface that came after the plan
        (set(), "0.0.0.0", [], [], False),
    ],
)
def test_asks_only_for_what_a_new_plan_would_move(
    held: set[int], address: str | None, here: list[str], everybodys: list[str], asks: bool
) -> None:
    """A slot whose address is elsewhere, or only here; not one whose address nobody has."""
    found = misplaced(held, {0: address}, here=Addresses.of(here), everybodys=Addresses.of(everybodys))
    assert bool(found) == asks


def test_a_slot_whose_address_nobody_has_is_told_by_its_holder() -> None:
    """By the one who holds it, and by no other."""
    assert homeless({0, 1}, {0: NOBODYS, 1: ONE, 2: NOBODYS}, here=BOTH, everybodys=BOTH) == {0}


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from("ab")), max_size=60))
def test_wishes_keep_their_distance(steps: list[tuple[float, str]]) -> None:
    """At most one in 10 s, whatever is wished for."""
    pace, now, asked = Pace(), 0.0, list[float]()
    for pause, slot in steps:
        now += pause
        cause: Cause = frozenset({(0, slot)})
        if pace.allows(cause, now, planned_at=-FIRST_S):
            pace.asked(cause, now)
            asked.append(now)
    assert all(later - earlier >= FIRST_S for earlier, later in pairwise(asked))


def test_a_wish_that_changes_nothing_is_said_ever_more_rarely() -> None:
    """The distance doubles up to ten minutes; another wish starts anew."""
    pace, now, cause = Pace(), 0.0, Cause({(0, ONE)})
    distances = []
    for _ in range(9):
        asked = now
        pace.asked(cause, now)
        while not pace.allows(cause, now, planned_at=0):
            now += 1
        distances.append(now - asked)
    assert distances == [10, 20, 40, 80, 160, 320, 600, 600, LAST_S]
    pace.asked(cause, now)
    assert pace.allows(Cause({(1, ONE)}), now + FIRST_S, planned_at=0)


def test_a_plan_that_others_asked_for_is_waited_for() -> None:
    """It may put right what this worker saw, and each plan makes every member finish what it has begun."""
    cause = Cause({(0, ONE)})
    assert not Pace().allows(cause, FIRST_S + 4, planned_at=5)
    assert Pace().allows(cause, FIRST_S + 5, planned_at=5)


@pytest.mark.integration
async def test_slots_follow_their_addresses(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Two slots change addresses in `egress` while two senders run: they change places, with one new plan."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path)
    binds: dict[int, str | None] = {0: ONE, 1: TWO}
    async with AsyncExitStack() as stack:
        apps = []
        for name, address in (("sender-1", ONE), ("sender-2", TWO)):
            app = make_app("sender", settings, member=name)
            own = Addresses.of([address])
            app.group_assignor = CoPartitionedAssignor(
                member=name, addresses=lambda own=own: own, slots=lambda: dict(binds)
            )

            @app.agent(app.source("sends.marketing"), name=f"placement-{name}")
            async def take(stream: object) -> None:
                async for _ in stream.noack().events():  # type: ignore[attr-defined]  # Faust's stream
                    pass

            await app.start()
            stack.push_async_callback(app.stop)
            watching = asyncio.create_task(Placement(app, binds=lambda: dict(binds), here=lambda own=own: own).watch())
            stack.callback(watching.cancel)
            apps.append(app)

        def places() -> list[set[int]]:
            return [{tp.partition for tp in app.consumer.assignment()} for app in apps]

        await until_true(lambda: places() == [{0}, {1}], "each slot where its address is")
        assert apps[0].group_assignor.everybodys == BOTH != NOWHERE
        binds |= {0: TWO, 1: ONE}
        await until_true(lambda: places() == [{1}, {0}], "the slots have changed places", limit_s=30)
        assert sum(app.group_assignor._asked for app in apps) in {1, 2}  # each of the two may see it first
