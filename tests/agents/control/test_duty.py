"""Duties take their turns apart from each other, while their worker is the active one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from agents.control.duty import Duty, Rounds
from streams.runtime.errors import ForbiddenError
from streams.runtime.metrics import REGISTRY


@dataclass
class Probe:
    """A duty that notes its turns."""

    name: str = "probe"
    every_s: float = 0.01
    turns: list[datetime] = field(default_factory=list)
    rests: int = 0
    error: Exception | None = None
    gate: asyncio.Event | None = None

    async def turn(self, now: datetime) -> None:
        """Note it; wait, or fail, where asked to."""
        self.turns.append(now)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    async def stand_by(self) -> None:
        """Note it."""
        self.rests += 1


async def until(fact: Callable[[], bool]) -> None:
    """Poll for a fact."""
    async with asyncio.timeout(10):
        while not fact():  # noqa: ASYNC110  # a fact of a test is no event
            await asyncio.sleep(0.005)


async def test_a_duty_whose_turn_takes_long_holds_up_no_other() -> None:
    """While one compiles, the other goes on; the rounds' count, which the watchdog sees, stands still."""
    slow, quick = Probe(name="slow", gate=asyncio.Event()), Probe(name="quick")
    duties: tuple[Duty, ...] = (slow, quick)
    async with Rounds(duties, active=lambda: True) as rounds:
        await until(lambda: len(quick.turns) >= 5)
        assert (len(slow.turns), rounds.count) == (1, 0)
        assert slow.gate is not None
        slow.gate.set()
        await until(lambda: rounds.count >= 2)


async def test_a_turn_that_fails_is_counted_and_tried_again() -> None:
    """One duty's defect is its own (G8)."""
    broken, sound = Probe(name="broken", error=KeyError("x")), Probe(name="sound")
    async with Rounds((broken, sound), active=lambda: True) as rounds:
        await until(lambda: len(broken.turns) >= 3 and len(sound.turns) >= 3)
        rounds.check()
    failures = REGISTRY.get_sample_value("evenpost_duty_failures_total", {"duty": "broken"})
    assert failures is not None
    assert failures >= 2


async def test_what_no_time_mends_ends_the_worker() -> None:
    """A fault of the runtime comes out of `check`."""
    async with Rounds((Probe(error=ForbiddenError("x", "no right")),), active=lambda: True) as rounds:
        await until(lambda: all(task.done() for task in asyncio.all_tasks() if task.get_name() == "duty-probe"))
        with pytest.raises(ForbiddenError):
            rounds.check()


async def test_who_is_not_active_takes_no_turn_and_is_told_once() -> None:
    """A duty stands by once for each time that it was active; standing by is no stall."""
    active = False
    probe = Probe()
    async with Rounds((probe,), active=lambda: active) as rounds:
        await until(lambda: rounds.count >= 2)
        assert (probe.turns, probe.rests) == ([], 0)
        active = True
        await until(lambda: len(probe.turns) >= 2)
        assert probe.turns[0].tzinfo is UTC
        active = False
        await until(lambda: probe.rests == 1)
        seen, count = len(probe.turns), rounds.count
        await until(lambda: rounds.count >= count + 2)
        assert (len(probe.turns), probe.rests) == (seen, 1)


async def test_turns_keep_their_rate_whatever_they_take() -> None:
    """The time of a turn is within its period, not beside it; and no turn that was missed is made up for."""
    probe = Probe(every_s=0.05, gate=asyncio.Event())
    assert probe.gate is not None
    async with Rounds((probe,), active=lambda: True):
        await asyncio.sleep(0.3)
        probe.gate.set()
        await until(lambda: len(probe.turns) >= 4)
    gaps = [(after - before).total_seconds() for before, after in zip(probe.turns[1:], probe.turns[2:], strict=False)]
    assert min(gaps) > 0.03
