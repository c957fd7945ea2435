"""Forget persons of whom nothing is needed any more, or the table would hold everybody who was ever written to.

A person's record is pruned when an event comes for them; those for whom none comes are met here.

1. Once in EVERY, ROWS persons are looked at, in the order of their keys, from where the last look ended; behind the
   last person it begins anew.
2. Who is `over` (streams.gate.person) is deleted.  No decision looks at such a record, so it is the same whether the
   sweep was there or not, and how often.
3. Where it stands is a row of the table too, or a worker that is restarted each day would never come to the last ones.
   It is written beside what is deleted, else every MARK_ROWS: an idle partition then has nothing to commit.

It is paced by the clock, not by events: a busy partition pays no more for it than an idle one.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from streams.gate.caps import longest_window_ms
from streams.gate.person import PERSONS, load
from streams.gate.state import State, millis
from streams.views.world import World

# Twelve partitions look at 66 millions a day that way, more than are new each day.  Measured: 0.4 % of a core, and
# 0.8 % while all of them go.
ROWS: Final = 64
EVERY: Final = timedelta(seconds=1)
# A minute's worth: so much is looked at twice after a restart.
MARK_ROWS: Final = 60 * ROWS
_MARK: Final = b"f/persons"


class Sweep:
    """Goes round the persons of one gate partition."""

    def __init__(self, state: State, world: World) -> None:
        self._state = state
        self._world = world
        self._at = self._marked = state.get(_MARK) or b""
        self._unmarked = 0
        self._next: datetime | None = None
        self.forgotten = 0

    def go_on(self, now: datetime) -> None:
        """Look at some more, where it is time."""
        # A clock that was set back must not stop it.
        if self._next is not None and self._next - EVERY <= now < self._next:
            return
        self._next = now + EVERY
        rows = list(self._state.scan(PERSONS, limit=ROWS, after=self._at))
        over = [key for key, value in rows if self._over(key, value, millis(now))]
        for key in over:
            self._state.delete(key)
        self.forgotten += len(over)
        self._at = rows[-1][0] if len(rows) == ROWS else b""
        self._unmarked += len(rows)
        if (over or self._unmarked >= MARK_ROWS) and self._at != self._marked:
            self._state.put(_MARK, self._at)
            self._marked, self._unmarked = self._at, 0

    def _over(self, key: bytes, value: bytes, now_ms: int) -> bool:
        tenant = key[len(PERSONS) :].partition(b":")[0].decode()
        try:
            person = load(value)
        except msgspec.MsgspecError:  # each event for this person ends by it, and says so; it is evidence of a defect
            return False
        return person.over(now_ms, longest_window_ms(self._world.tenants.get(tenant)))
