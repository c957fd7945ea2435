"""Attempts that are under way, and how they ended, until that is committed; by dealing.

They outlive the session in which they began: what is past its intent when the slot is fenced comes to its end, and the
next session of this process learns how, also where the slot was given up in between.  It counts only where the last
word that the journal, read after the fence, has of that dealing is an intent of that very attempt: else somebody else
was at it since, or all that there is to say is said.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.events import Intent, Outcome
from streams.delivery.journal import Key


@dataclass(kw_only=True, slots=True)
class Attempt:
    """What this process knows of one.  `former`: the doubt in which it was begun, of a sender before."""

    former: Intent | None = None
    intents: list[Intent] = field(default_factory=list)
    outcome: Outcome | None = None


class UnderWay:
    """Tasks that each give an outcome, or raise where nothing went."""

    def __init__(self, known: dict[Key, Attempt], *, ended: Callable[[Key, Outcome], None]) -> None:
        """`known` outlives this; `ended` is told of each outcome in the turn of the loop in which it is there."""
        self._known = known
        self._ended = ended
        self._tasks: dict[Key, asyncio.Task[Outcome]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._tasks or (key in self._known and self._known[key].outcome is not None)

    def begin(self, key: Key, attempt: Callable[[], Awaitable[Outcome]], *, former: Intent | None) -> None:
        """Begin one."""
        known = self._known[key] = Attempt(former=former)
        task = self._tasks[key] = asyncio.create_task(self._run(key, attempt, known), name=f"attempt-{key[0]}-{key[1]}")
        task.add_done_callback(heard)

    async def _run(self, key: Key, attempt: Callable[[], Awaitable[Outcome]], known: Attempt) -> Outcome:
        outcome = known.outcome = await attempt()
        self._tasks.pop(key, None)
        self._ended(key, outcome)
        return outcome

    def announced(self, key: Key, intent: Intent) -> None:
        """An intent of it was handed over."""
        if key in self._known:
            self._known[key].intents.append(intent)

    async def outcome(self, key: Key) -> Outcome:
        """How it ended, or what it raised; who is cancelled while waiting leaves it to go on, or to be asked again."""
        task = self._tasks.get(key)
        if task is not None:
            await asyncio.wait({task})
            return task.result()
        outcome = self._known[key].outcome
        assert outcome is not None  # noqa: S101  # else it is not in here
        return outcome

    def forget(self, key: Key) -> Intent | None:
        """One that raised is over; the doubt that stood before it stands again."""
        self._tasks.pop(key, None)
        known = self._known.pop(key, None)
        return None if known is None else known.former

    def committed(self, keys: Iterable[Key]) -> None:
        """Forget outcomes that Kafka has for good."""
        for key in keys:
            self._known.pop(key, None)

    def compare(self, in_doubt: Mapping[Key, Intent]) -> None:
        """Forget what does not count any more, by the intents without an outcome that the journal has."""
        for key, known in list(self._known.items()):
            doubt = in_doubt.get(key)
            if doubt in known.intents or (doubt is None and key in self._tasks):  # the latter: it has no intent yet
                continue
            del self._known[key]
            task = self._tasks.pop(key, None)
            if task is not None:
                task.cancel()

    async def cut(self) -> None:
        """End all attempts at once, with their connections; how others ended is kept."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())
        for key in tasks:
            if key in self._known and self._known[key].outcome is None:
                del self._known[key]


def heard(task: "asyncio.Future[Any]") -> None:
    """Take note of an error that nobody waits for."""
    if not task.cancelled():
        task.exception()
