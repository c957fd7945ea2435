"""Calls in threads of their own: handed on, given up, and never in each other's way."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from streams.runtime.errors import FencedError
from streams.runtime.partition.own_thread import begun, within

MEMBER: contextvars.ContextVar[str] = contextvars.ContextVar("member")


async def test_a_call_gives_what_it_returns_or_raises() -> None:
    """Under its name, with the caller's context: log lines name the member."""
    MEMBER.set("gate-0")
    assert await begun(lambda: (threading.current_thread().name, MEMBER.get()), name="asks") == ("asks", "gate-0")
    with pytest.raises(ZeroDivisionError):
        await begun(lambda: 1 // 0, name="fails")


async def test_a_thread_that_is_idle_is_used_again() -> None:
    """To begin one takes several times as long as to wake one."""
    idents = {await begun(threading.get_ident, name="again") for _ in range(100)}
    assert len(idents) == 1


async def test_calls_that_hang_keep_nobody_waiting() -> None:
    """A hundred of them: each is given up in its time, others go on, and a late answer goes nowhere."""
    ended = threading.Event()
    hanging = [within(ended.wait, limit_s=0.2, name="hangs") for _ in range(100)]
    answers = asyncio.gather(*hanging, return_exceptions=True)
    await asyncio.sleep(0)
    assert await asyncio.gather(*(begun(lambda n=n: n, name="goes on") for n in range(10))) == list(range(10))
    assert [type(answer) for answer in await answers] == [FencedError] * 100
    ended.set()
    assert await within(lambda: "next", limit_s=5.0, name="next") == "next"


async def test_what_a_call_held_is_let_go_when_it_ends() -> None:
    """An idle thread keeps no producer and no table alive."""
    gone = threading.Event()

    class Held:
        def __del__(self) -> None:
            gone.set()

    async def hold() -> None:
        held = Held()
        await begun(lambda: repr(held), name="holds")

    await hold()
    assert await asyncio.to_thread(gone.wait, 5.0)
