"""The flow goes on after each assignment, however long it takes to learn what is committed.

After an assignment Faust seeks to what is committed and then resumes the flow, in one task for the process's life.  It
waits 90 s at most (`broker_request_timeout`).  Where the broker is away for longer, `mode` answers as it does when the
service is stopped, and the task ends: for good, and without a word.  From then on each assignment is taken over and
recovered, and nothing of it is ever handed to anybody.

Here the wait has no limit of its own: it ends with the seek, with the next assignment, or with the app.
"""

from typing import Any

from faust.tables import TableManager
from faust.tables.recovery import Recovery


class UnlimitedRecovery(Recovery):
    """Faust's task that resumes the flow, waiting for as long as the broker is away."""

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109  # Faust's signature
        del timeout
        await super()._wait(coro)


class EvenpostTables(TableManager):
    """Faust's tables, of which we have none; what resumes the flow is theirs."""

    @property
    def recovery(self) -> Recovery:
        """As Faust's."""
        if self._recovery is None:
            self._recovery = UnlimitedRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
