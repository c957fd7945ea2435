"""Attempts that outlive who waits for them: nothing of what became of them is lost, and nothing old is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from agents.slot.under_way import Attempt, UnderWay
from schemas.events import Intent, Outcome
from streams.delivery.journal import Key, decode
from streams.runtime.errors import FencedError
from tests.delivery.test_journal import intent, outcome

ONE: Key = (f"{1:032x}", 1)


def made(
    known: dict[Key, Attempt] | None = None, *, ended: Callable[[Key, Outcome], None] = lambda *_: None
) -> UnderWay:
    """What one owner has under way."""
    return UnderWay({} if known is None else known, ended=ended)


def as_read(one: Intent) -> Intent:
    """The intent as the journal gives it back."""
    read = decode(msgspec.json.encode(one))
    assert isinstance(read, Intent)
    return read


@pytest.mark.parametrize("turns", range(5))
async def test_who_is_cancelled_as_an_attempt_ends_takes_its_outcome_to_nobody(turns: int) -> None:
    """A fence ends who waits, some turns of the loop after the 250: the next session is told of it all the same."""
    under_way, replied = made(), asyncio.Event()

    async def attempt() -> Outcome:
        await replied.wait()
        return outcome(1)

    under_way.begin(ONE, attempt, former=None)
    waiting = asyncio.create_task(under_way.outcome(ONE))
    await asyncio.sleep(0)
    replied.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert ONE in under_way
    assert await under_way.outcome(ONE) == outcome(1)


async def test_an_outcome_is_told_before_who_waits_for_the_connection_goes_on() -> None:
    """Or that one's intent stood before it, and a kill left two in doubt of one connection."""
    told: list[str] = []
    free = asyncio.get_running_loop().create_future()
    under_way = made(ended=lambda *_: told.append("outcome"))

    async def attempt() -> Outcome:
        await asyncio.sleep(0)
        free.set_result(None)
        return outcome(1)

    async def next_on_it() -> None:
        await free
        told.append("next intent")

    waiting = asyncio.create_task(next_on_it())
    under_way.begin(ONE, attempt, former=None)
    await under_way.outcome(ONE)
    await waiting
    assert told == ["outcome", "next intent"]


async def test_what_raised_is_asked_for_again_until_it_is_forgotten_and_the_former_doubt_stands() -> None:
    """Nothing went of it; an attempt of a sender before it may have."""
    under_way = made()

    async def attempt() -> Outcome:
        raise FencedError("slot 0", "a test")

    under_way.begin(ONE, attempt, former=intent(1))
    for _ in range(2):
        with pytest.raises(FencedError):
            await under_way.outcome(ONE)
    assert under_way.forget(ONE) == intent(1)
    assert ONE not in under_way


@pytest.mark.parametrize("whose", ["ours", "another's", "none"])
async def test_how_it_ended_counts_where_the_journal_has_our_intent_last(whose: str) -> None:
    """Another's intent, behind ours or where we had none: that one's mail may have gone, whatever we know of ours."""
    known: dict[Key, Attempt] = {}
    before = made(known)

    async def attempt() -> Outcome:
        before.announced(ONE, intent(1))
        return outcome(1)

    before.begin(ONE, attempt, former=None)
    await before.outcome(ONE)
    after = made(known)
    theirs = msgspec.structs.replace(intent(1), connection="mx/2")
    after.compare({"ours": {ONE: as_read(intent(1))}, "another's": {ONE: as_read(theirs)}, "none": {}}[whose])
    assert (ONE in after) == (whose == "ours")
    assert bool(known) == (whose == "ours"), "kept for nothing"


async def test_an_attempt_without_an_intent_goes_on_unless_another_is_at_it() -> None:
    """It waits for a connection while the slot is fenced; where another's intent stands, it is ended."""
    under_way, connection = made(), asyncio.Event()

    async def attempt() -> Outcome:
        await connection.wait()
        return outcome(1)

    under_way.begin(ONE, attempt, former=None)
    under_way.compare({})
    assert ONE in under_way
    under_way.compare({ONE: intent(1)})
    assert ONE not in under_way


async def test_what_is_cut_or_committed_is_kept_no_longer() -> None:
    """Else a slot would remember each mail that it ever sent."""
    known: dict[Key, Attempt] = {}
    under_way, reply = made(known), asyncio.Event()

    async def attempt() -> Outcome:
        await reply.wait()
        return outcome(1)

    under_way.begin(ONE, attempt, former=None)
    await asyncio.sleep(0)
    await under_way.cut()
    assert known == {}
    reply.set()
    under_way.begin(ONE, attempt, former=None)
    await under_way.outcome(ONE)
    assert set(known) == {ONE}
    under_way.committed([ONE])
    assert known == {}
