"""Attempts that are under way, and how they ended, until that is committed; by dealing.

They outlive the session in which they began: what is past its intent when the slot is fenced comes to its end, and the
next session of this process learns how, also where the slot was given up in between.  Where the journal, read after the
fence, has no outcome, nobody else had one.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from schemas.events import Outcome
from streams.delivery.journal import Key


class UnderWay:
    """Tasks that each give an outcome, or raise where nothing went."""

    def __init__(self) -> None:
        self._tasks: dict[Key, asyncio.Task[Outcome]] = {}
        self._ended: dict[Key, Outcome] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._tasks or key in self._ended

    def begin(self, key: Key, attempt: Coroutine[Any, Any, Outcome]) -> None:
        """Begin one."""
        task = self._tasks[key] = asyncio.create_task(attempt, name=f"attempt-{key[0]}-{key[1]}")
        task.add_done_callback(heard)

    async def outcome(self, key: Key) -> Outcome:
        """How it ended; who is cancelled while waiting leaves it to go on.  What raised is forgotten."""
        if key in self._ended:
            return self._ended[key]
        task = self._tasks[key]
        try:
            outcome = await asyncio.shield(task)
        finally:
            if task.done():
                self._tasks.pop(key, None)
        self._ended[key] = outcome
        return outcome

    def committed(self, keys: Iterable[Key]) -> None:
        """Forget outcomes that Kafka has for good."""
        for key in keys:
            self._ended.pop(key, None)

    async def cut(self) -> None:
        """End all attempts at once, with their connections; how others ended is kept."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())
        for key, task in tasks.items():
            if not task.cancelled() and task.exception() is None:
                self._ended[key] = task.result()


def heard(task: "asyncio.Future[Any]") -> None:
    """Take note of an error that nobody waits for."""
    if not task.cancelled():
        task.exception()
