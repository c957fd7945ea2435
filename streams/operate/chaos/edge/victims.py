"""Does what the plan says, and notes of each blow what the operating system knew of its victim's connections."""

import re
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import psutil

from streams.operate.chaos.crew import Crew
from streams.operate.chaos.edge.blows import Blow, Kind, Socket
from streams.operate.chaos.edge.following import Arrivals
from streams.operate.chaos.edge.plan import BrokerKill, Kill, Plan, Stop
from streams.operate.chaos.edge.stage import Receiver

# Seconds for a process to get to its point: it starts, takes its slots, and meets mail within a tenth of it.
REACH_S: Final = 120.0
# Seconds for a sender to have a connection before it is stopped, and for others to send from its IPs while it is.
CONNECTED_S: Final = 60.0
REPLACED_S: Final = 45.0
# The broker is killed under load: so many mails since its last return, and one right before it goes.  Senders, gates
# and views need some seconds to find a broker again, on a busy machine tens of them.
LOAD_MAILS: Final = 20
LOAD_S: Final = 120.0
_POLL_S: Final = 0.05

# What a process says right before its own SIGKILL (streams.runtime.points), and how long we may take to notice (s).
_DIES: Final = b"kills itself"
_TIMESTAMP: Final = re.compile(rb"timestamp=(\S+)")
_SEND: Final = re.compile(rb" send_id=(\w+)")
_LAST_WORDS: Final = 50
_NOTICED_S: Final = 10.0

Say = Callable[[str], None]


class Victims:
    """Blows on a crew.  `armed` is what its program looks into: the point at which a member dies, by its name."""

    def __init__(self, crew: Crew, planned: Plan, receiver: Receiver, *, armed: dict[str, str], say: Say) -> None:
        self._crew = crew
        self._planned = planned
        self._receiver = receiver
        self._armed = armed
        self._say = say
        self._lock = threading.Lock()
        self._giving_up = threading.Event()
        self.blows: list[Blow] = []
        self.error: BaseException | None = None

    def give_up(self) -> None:
        """Begin no more blows."""
        self._giving_up.set()

    # ── kills, side by side ──────────────────────────────────────────────────────────────────────────────────────────

    def kill_all(self, sleep: Callable[[float], None]) -> None:
        """All lanes; returns when each member runs again, to stay."""
        lanes = [
            threading.Thread(target=self._lane, args=(name, kills), name=f"lane {name}", daemon=True)
            for name, kills in self._planned.kills.items()
            if kills
        ]
        for lane in lanes:
            lane.start()
        while any(lane.is_alive() for lane in lanes):
            sleep(_POLL_S)
        if self.error is not None:
            raise self.error

    def _lane(self, name: str, kills: tuple[Kill, ...]) -> None:
        try:
            for number, kill in enumerate(kills):
                if self._giving_up.is_set():
                    return
                if number:  # the first one stands in its environment from its first start
                    self._armed[name] = kill.armed
                    self._crew.spawn(name)
                    self._crew.expect_end(name)
                self._kill(name, kill)
            self._armed.pop(name, None)
            self._crew.spawn(name)
        except BaseException as error:
            self.error = error
            raise

    def _kill(self, name: str, kill: Kill) -> None:
        deadline = time.monotonic() + REACH_S
        missed = ""
        while (code := self._crew.returncode(name)) is None:
            if time.monotonic() > deadline or self._giving_up.is_set():
                missed = f"did not get to {kill.armed} within {REACH_S:.0f} s"
                self._crew.kill(name)
                break
            time.sleep(_POLL_S)
        at, send_id = self._last_word(name)
        if not missed and code != -signal.SIGKILL:
            missed = f"ended with {code} before {kill.armed}"
        if kill.away_s:
            self._giving_up.wait(kill.away_s)
        self._struck(kind="kill", point=kill.point, member=name, at=at, send_id=send_id, missed=missed)

    # ── stops and the broker, one after the other ────────────────────────────────────────────────────────────────────

    def stop(self, one: Stop, sleep: Callable[[float], None]) -> None:
        """Stop, wait until another sends from its IPs, and let it go on."""
        sleep(one.pause_s)
        name = one.member
        at, sockets = self._frozen(name, sleep)
        addresses = frozenset(address for address, _ in sockets)
        arrivals = Arrivals(self._receiver.log)
        missed = "" if sockets else f"had no connection for {CONNECTED_S:.0f} s"
        try:
            sleep(self._crew.settings.kafka.session_timeout_s + one.beyond_s)
            replaced = self._replaced(addresses, sockets, arrivals, sleep)
            until = time.time()
        finally:
            self._crew.thaw(name)
        if not missed and not replaced:
            missed = f"nobody sent from its IPs within {REPLACED_S:.0f} s beyond its session"
        self._struck(
            kind="stop",
            member=name,
            at=at,
            until=until,
            sockets=sockets,
            replaced=replaced,
            missed=missed,
        )

    def _frozen(self, name: str, sleep: Callable[[float], None]) -> tuple[float, frozenset[Socket]]:
        """Stop it with connections open: the moment, and those.  None where it had none for so long."""
        pid, deadline = self._crew.pid(name), time.monotonic() + CONNECTED_S
        while True:
            while not self._sockets(pid) and time.monotonic() < deadline:
                sleep(_POLL_S)
            self._crew.freeze(name)
            at, sockets = time.time(), self._sockets(pid)
            if sockets or time.monotonic() >= deadline:
                return at, sockets
            self._crew.thaw(name)  # its slots move this moment, and it gave its connections up

    def _replaced(
        self,
        addresses: frozenset[str],
        sockets: frozenset[Socket],
        arrivals: Arrivals,
        sleep: Callable[[float], None],
    ) -> bool:
        deadline = time.monotonic() + REPLACED_S
        while time.monotonic() < deadline:
            if any(one.peer in addresses and (one.peer, one.port) not in sockets for one in arrivals.look()):
                return True
            sleep(_POLL_S * 4)
        return False

    def kill_broker(self, one: BrokerKill, sleep: Callable[[float], None]) -> None:
        """SIGKILL while mail goes, a while without it, and its start on the same port."""
        loaded = self._takes(LOAD_MAILS, sleep)
        sleep(one.pause_s)
        loaded = self._takes(1, sleep) and loaded
        missed = "" if loaded else f"no mail went for {LOAD_S:.0f} s"
        at = time.time()
        self._crew.kill_broker()
        sleep(one.away_s)
        self._crew.start_broker()
        self._struck(kind="broker", member="kafka", at=at, missed=missed)

    def _takes(self, mails: int, sleep: Callable[[float], None]) -> bool:
        """Wait until the receiver has taken so many more; False where that takes too long."""
        arrivals, deadline = Arrivals(self._receiver.log), time.monotonic() + LOAD_S
        while time.monotonic() < deadline:
            mails -= sum(one.accepted for one in arrivals.look())
            if mails <= 0:
                return True
            sleep(_POLL_S)
        return False

    # ── notes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _last_word(self, name: str) -> tuple[float, str]:
        """The moment of its death (epoch s), which is closer than when we noticed, and the send on which it died."""
        noticed = time.time()
        lines = self._crew.log_file(name).read_bytes().splitlines()[-_LAST_WORDS:]
        said = [(line, match[1].decode()) for line in lines if _DIES in line and (match := _TIMESTAMP.match(line))]
        if said:
            line, at = said[-1]
            died, send = datetime.fromisoformat(at).timestamp(), _SEND.search(line)
            if noticed - died < _NOTICED_S:
                return died, send[1].decode() if send else ""
        return noticed, ""

    def _sockets(self, pid: int) -> frozenset[Socket]:
        """The process's connections to the receiver, by their local end."""
        try:
            found = psutil.Process(pid).net_connections(kind="tcp4")
        except psutil.Error:
            return frozenset()
        port = self._receiver.smtp_port
        return frozenset((one.laddr.ip, one.laddr.port) for one in found if one.raddr and one.raddr.port == port)

    def _struck(
        self,
        *,
        kind: Kind,
        member: str,
        at: float,
        until: float | None = None,
        point: str = "",
        send_id: str = "",
        sockets: frozenset[Socket] = frozenset(),
        replaced: bool = False,
        missed: str = "",
    ) -> None:
        with self._lock:
            blow = Blow(
                number=len(self.blows) + 1,
                kind=kind,
                point=point,
                member=member,
                at=at,
                until=time.time() if until is None else until,
                send_id=send_id,
                open=sockets,
                replaced=replaced,
                missed=missed,
            )
            self.blows.append(blow)
        self._say(f"{blow.name}, {blow.until - blow.at:.1f} s {missed}")


def armed_at_first(planned: Plan) -> dict[str, str]:
    """The point at which each member dies first, by its name."""
    return {name: kills[0].armed for name, kills in planned.kills.items() if kills}
