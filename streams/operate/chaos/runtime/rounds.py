"""Does what the plan says, round by round, and notes what was done to whom and when."""

import time
from collections.abc import Callable
from typing import Final

from streams.operate.chaos.blows import Round, Struck
from streams.operate.chaos.crew import Crew
from streams.operate.chaos.runtime.events import DEALING
from streams.operate.chaos.runtime.plan import Kind
from streams.operate.chaos.runtime.worker import stop_file

# Seconds that the broker is away: longer than a session of 12 s.
AWAY_S: Final = 15.0
# Seconds for a worker to come to its next commit and stop there: busy partitions commit many times a second, but the
# round before may have left it to wait for a broker or a rebalance.
COMMIT_S: Final = 60.0
_POLL_S: Final = 0.02
# Kinds that mean nothing to a plain agent, or that would leave nobody beside.
_DEALING_ONLY: Final = {Kind.STOP_IN_COMMIT, Kind.REMOVE}


class Rounds:
    """Does rounds on a crew."""

    def __init__(self, crew: Crew, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._crew = crew
        self._sleep = sleep
        self._session_s = crew.settings.kafka.session_timeout_s

    def do(self, one: Round[Kind]) -> Struck[Kind]:
        """Wait for the round's moment, strike, and return when what was struck runs again."""
        self._sleep(one.pause_s)
        names = self._crew.of_kind(DEALING) if one.kind in _DEALING_ONLY else self._crew.running
        member = "" if one.kind.startswith("broker") or one.kind is Kind.ADD else names[int(one.draw * len(names))]
        at = time.time()
        missed = ""
        match one.kind:
            case Kind.KILL:
                self._crew.kill(member)
                self._crew.spawn(member)
            case Kind.KILL_AWAY:
                self._crew.kill(member)
                self._sleep(self._session_s + one.beyond_s)
                self._crew.spawn(member)
            case Kind.RESTART:
                self._crew.terminate(member)
                self._crew.spawn(member)
            case Kind.STOP:
                self._crew.freeze(member)
                self._sleep(self._session_s + one.beyond_s)
                self._crew.thaw(member)
            case Kind.STOP_IN_COMMIT:
                missed = self._stop_in_commit(member, one)
            case Kind.ADD:
                member = self._crew.add(DEALING)
            case Kind.REMOVE:
                self._crew.remove(member)
            case Kind.BROKER_KILL:
                self._crew.kill_broker()
                self._crew.start_broker()
            case Kind.BROKER_RESTART:
                self._crew.stop_broker()
                self._crew.start_broker()
            case Kind.BROKER_AWAY:
                self._crew.stop_broker()
                self._sleep(AWAY_S)
                self._crew.start_broker()
        return Struck(number=one.number, kind=one.kind, member=member, at=at, until=time.time(), missed=missed)

    def _stop_in_commit(self, member: str, one: Round[Kind]) -> str:
        """The worker stops itself between offsets and commit (worker.py); SIGCONT once its session is over."""
        file = stop_file(self._crew.settings, member)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        deadline = time.monotonic() + COMMIT_S
        while not self._crew.frozen(member):
            if time.monotonic() > deadline:
                file.unlink(missing_ok=True)
                self._crew.thaw(member)  # it may have stopped just now
                return f"{member} made no commit within {COMMIT_S:.0f} s"
            self._sleep(_POLL_S)
        self._sleep(self._session_s + one.beyond_s)
        self._crew.thaw(member)
        return ""
