"""The two ways to end a worker, and who asks for which.

`restart`: what was begun is finished or given back, offsets are committed, and the group is not told: the same member
comes back within the session timeout and has what it had (KIP-345); nothing moves.
`scale-in`: the same, then the member leaves the group: its partitions move at once.

SIGTERM and SIGINT ask for what `worker.sigterm` says, SIGUSR1 always for `scale-in`, the last one ahead of the others
as long as the group was not left to wait.
"""

import asyncio
import signal
from typing import Final, Literal

How = Literal["restart", "scale-in"]
SCALE_IN_SIGNAL: Final = signal.SIGUSR1

# Exit codes beside 0, an orderly end, and 1, a failure.  They are sysexits.h's where one fits.
STALLED_EXIT: Final = 70  # EX_SOFTWARE: the watchdog ended it
UNREACHABLE_EXIT: Final = 75  # EX_TEMPFAIL: no broker answered for as long as a start waits
TAKEN_EXIT: Final = 76  # EX_PROTOCOL: another process runs under this member's name

_MEANING: Final = {
    STALLED_EXIT: "it stood still",
    UNREACHABLE_EXIT: "no broker answered",
    TAKEN_EXIT: "another process has its name",
}


def exit_words(code: int) -> str:
    """What an exit code, or minus a signal, says to a person."""
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code} ({_MEANING[code]})" if code in _MEANING else f"exit code {code}"


class Stop:
    """Whether, and how, this worker was asked to end."""

    def __init__(self, sigterm: How) -> None:
        self.how: How | None = None
        self._sigterm: How = sigterm
        self._asked = asyncio.Event()

    def listen(self) -> "Stop":
        """Take the signals; within a running loop."""
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self.ask, self._sigterm)
        loop.add_signal_handler(SCALE_IN_SIGNAL, self.ask, "scale-in")
        return self

    def ask(self, how: How) -> None:
        """Ask for an end; who was told to leave leaves."""
        if self.how != "scale-in":
            self.how = how
        self._asked.set()

    def is_set(self) -> bool:
        """Whether an end was asked for."""
        return self._asked.is_set()

    async def wait(self) -> None:
        """Wait until an end is asked for."""
        await self._asked.wait()
