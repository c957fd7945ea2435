"""Asks the group for a new plan when a slot is not where its address is.

The leader plans when members come and go, not when `egress` or an interface changes.  So each worker looks every
second at what it holds:

1. A slot that binds an address which this host lacks and another member has: a new plan would move it.
2. A slot of others that binds an address which only this host has, and had not when the plan was made: likewise.
3. A slot whose address nobody has stays: it is told (log and metric), its sends come back to the gate and wait.

What is seen twice in a row is asked for: not within FIRST_S of the last plan, whoever asked for that, and where asking
changed nothing ever more rarely.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import structlog

from streams.runtime.assignment.addresses import Addresses
from streams.runtime.metrics import PLAN_REQUESTS, SLOTS_WITHOUT_ADDRESS
from streams.runtime.transport.assignor import CoPartitionedAssignor

log = structlog.get_logger(__name__)

LOOK_S: Final = 1.0
# A new plan makes every member finish what it has begun, which takes a sender seconds: one for a change of egress in
# several steps.
FIRST_S: Final = 10.0
# A leader whose view stays behind may plan as before: asking doubles its distance up to this.
LAST_S: Final = 600.0

Binds = Mapping[int, str | None]
Cause = frozenset[tuple[int, str]]


def misplaced(held: AbstractSet[int], binds: Binds, *, here: Addresses, everybodys: Addresses) -> Cause:
    """The slots that a new plan would move, with their addresses."""

    def elsewhere(slot: int, address: str) -> bool:
        if slot in held:
            return everybodys.can_bind(address) and not here.can_bind(address)
        return here.can_bind(address) and not everybodys.can_bind(address)

    return frozenset(
        (slot, address) for slot, address in binds.items() if address is not None and elsewhere(slot, address)
    )


def homeless(held: AbstractSet[int], binds: Binds, *, here: Addresses, everybodys: Addresses) -> frozenset[int]:
    """The slots held here whose address nobody has."""
    return frozenset(
        slot
        for slot, address in binds.items()
        if slot in held and address is not None and not here.can_bind(address) and not everybodys.can_bind(address)
    )


class Pace:
    """When the same wish may be said again."""

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._cause: Cause = frozenset()
        self._wait = FIRST_S

    def allows(self, cause: Cause, now: float, *, planned_at: float) -> bool:
        """Whether to ask now, when the last plan was received then."""
        wait_s = self._wait if cause == self._cause else FIRST_S
        return now >= max(self._asked_at + wait_s, planned_at + FIRST_S)

    def asked(self, cause: Cause, now: float) -> None:
        """Note that it was asked for."""
        self._wait = min(self._wait * 2, LAST_S) if cause == self._cause else FIRST_S
        self._asked_at, self._cause = now, cause


class Placement:
    """One worker's looks at what it holds."""

    def __init__(self, app: Any, *, binds: Callable[[], Binds], here: Callable[[], Addresses]) -> None:
        self._app = app
        self._binds = binds
        self._here = here
        self._pace = Pace()
        self._before: Cause = frozenset()
        self._told: frozenset[int] = frozenset()

    async def watch(self) -> None:
        """Look until cancelled; a look that fails is told, and the next one may do better."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception:
                log.exception("could not look where the slots are")

    async def look(self) -> None:
        """Tell what is nobody's, ask for what is elsewhere."""
        assignor: CoPartitionedAssignor = self._app.group_assignor
        if assignor.everybodys is None:  # nothing was assigned yet, or by a leader that does not know
            return
        held, binds, seen = assignor.held, self._binds(), {"here": self._here(), "everybodys": assignor.everybodys}
        self._tell(homeless(held, binds, **seen))
        cause, before = misplaced(held, binds, **seen), self._before
        self._before = cause
        now = time.monotonic()
        if not cause or cause != before or not self._pace.allows(cause, now, planned_at=assignor.planned_at):
            return
        if await self._app.consumer.rejoin():
            self._pace.asked(cause, now)
            PLAN_REQUESTS.inc()
            log.info("slots are not where their addresses are: a new plan is asked for", slots=_text(dict(cause)))

    def _tell(self, without: frozenset[int]) -> None:
        SLOTS_WITHOUT_ADDRESS.set(len(without))
        if without - self._told:
            log.error("no worker has the address of a slot: its mail comes back and waits", slots=_text(without))
        self._told = without


def _text(slots: Any) -> str:
    return ",".join(map(str, sorted(slots)))
