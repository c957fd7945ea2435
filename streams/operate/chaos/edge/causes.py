"""What ended a connection, and what each duplicate and each doubt came from.  Pure.

1. A connection that its client left without QUIT is a kill's when it ended, with others, as the victim died; a stop's
   when the operating system showed it while the victim was stopped.  One that the receiver dropped is the receiver's.
   One that was open when the broker went, and ended before it was back, is the broker's: its last outcome was known to
   a sender that could tell nobody.
2. A message that was accepted twice: all but one of its acceptances must each be the last on a connection with such a
   cause.  An acceptance in the middle of a connection has its outcome covered by the next intent, so nothing may ever
   send it again.
3. A final `uncertain`: one of its intents must name a connection with such a cause.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from streams.operate.chaos.edge import scene
from streams.operate.chaos.edge.blows import Blow, Socket
from streams.operate.chaos.edge.witnesses import Evidence, Intent, Taken
from streams.operate.simulator import Ended

# Seconds after a death until the receiver has met the end of its connections: its loop may be late.
SEEN_WITHIN_S: Final = 1.5
# The kernel closes all of a dead process's sockets in one go; the receiver meets their ends one after the other (s),
# with a busy machine's pauses between.
TOGETHER_S: Final = 0.4
# Two processes' clocks are one, but a line is written a moment after what it tells (s).
SLACK_S: Final = 0.5
RECEIVER: Final = "receiver"

Cause = Blow | str  # the blow, or RECEIVER


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One duplicate or one doubt, and the connection that it came from."""

    send_id: str
    what: str  # duplicate, uncertain
    connection: Ended
    cause: Cause


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `open` are the connections that a blow ended, by its number."""

    open: Mapping[int, tuple[Ended, ...]]
    charges: tuple[Charge, ...]
    unexplained: tuple[str, ...]  # in words

    def charged(self, blow: Blow, *, what: str = "") -> list[Charge]:
        """What came of a blow."""
        return [
            one
            for one in self.charges
            if isinstance(one.cause, Blow) and one.cause.number == blow.number and what in {"", one.what}
        ]


class Connections:
    """The receiver's connections, by their sender's end."""

    def __init__(self, ended: Sequence[Ended], blows: Sequence[Blow]) -> None:
        self._by_socket: dict[Socket, list[Ended]] = defaultdict(list)
        for one in ended:
            self._by_socket[one.peer, one.port].append(one)
        self._causes: dict[int, Cause] = {id(one): RECEIVER for one in ended if one.how == "dropped"}
        self.open: dict[int, tuple[Ended, ...]] = {}
        kills = [blow for blow in blows if blow.kind == "kill"]
        for blow in blows:
            of_blow: Iterable[Ended] = ()
            if blow.kind == "stop":
                of_blow = self._of_stop(blow)
            elif blow.kind == "kill":
                of_blow = self._of_kill(blow, ended, kills)
            else:
                of_blow = [one for one in _of_broker(blow, ended) if id(one) not in self._causes]
            self.open[blow.number] = tuple(of_blow)
            # A kill is a better reason than an earlier stop that the connection outlived.
            self._causes |= {id(one): blow for one in self.open[blow.number]}

    def cause(self, connection: Ended) -> Cause | None:
        """What ended it; None: it ended as it should."""
        return self._causes.get(id(connection))

    def at(self, socket: Socket, at: float) -> Ended | None:
        """The connection from there at a time."""
        for one in self._by_socket.get(socket, ()):
            if one.opened.timestamp() - SLACK_S <= at <= one.ended.timestamp() + SLACK_S:
                return one
        return None

    def _of_stop(self, blow: Blow) -> Iterable[Ended]:
        found = (self.at(socket, blow.at) for socket in sorted(blow.open))
        return (one for one in found if one is not None)

    @staticmethod
    def _of_kill(blow: Blow, ended: Sequence[Ended], others: Sequence[Blow]) -> Iterable[Ended]:
        """Those that ended in one go right after the death, as none of another death's are nearer."""
        lost = [
            one
            for one in ended
            if one.how == "lost"
            and -SLACK_S <= one.ended.timestamp() - blow.at <= SEEN_WITHIN_S
            and min(others, key=lambda other: abs(one.ended.timestamp() - other.at)) is blow
        ]
        lost.sort(key=lambda one: one.ended)
        runs: list[list[Ended]] = []
        for one in lost:
            if not runs or (one.ended - runs[-1][-1].ended).total_seconds() > TOGETHER_S:
                runs.append([])
            runs[-1].append(one)
        # A sender that lives cuts single connections too, where a mail may not go any more.
        return max(runs, key=len, default=[])


def _of_broker(blow: Blow, ended: Sequence[Ended]) -> Iterable[Ended]:
    """Those that were open when it went, and ended before anybody could write down what became of the last message."""
    return (
        one
        for one in ended
        if one.opened.timestamp() <= blow.at + SLACK_S
        and blow.at - SLACK_S <= one.ended.timestamp() <= blow.until + SLACK_S
    )


def find(seen: Evidence, blows: Sequence[Blow]) -> Found:
    """Explain all duplicates and all doubts."""
    connections = Connections(seen.connections, blows)
    charges: list[Charge] = []
    unexplained: list[str] = []
    for charge in (*_duplicates(seen, connections), *_doubts(seen, connections)):
        if isinstance(charge, Charge):
            charges.append(charge)
        else:
            unexplained.append(charge)
    return Found(open=connections.open, charges=tuple(charges), unexplained=tuple(unexplained))


def _duplicates(seen: Evidence, connections: Connections) -> Iterable[Charge | str]:
    by_send: dict[str, list[Taken]] = defaultdict(list)
    last: dict[int, Taken] = {}
    for one in seen.taken:
        by_send[one.send_id].append(one)
        connection = connections.at(one.socket, one.at)
        if connection is not None:
            last[id(connection)] = one
    for send_id, many in by_send.items():
        excused: list[Charge] = []
        for one in many:
            connection = connections.at(one.socket, one.at)
            cause = None if connection is None else connections.cause(connection)
            if connection is not None and cause is not None and last[id(connection)] is one:
                excused.append(Charge(send_id=send_id, what="duplicate", connection=connection, cause=cause))
        needed = len(many) - 1
        yield from excused[:needed]
        if len(excused) < needed:
            yield f"{send_id} accepted {len(many)} times, {len(excused)} of them explained"


def _doubts(seen: Evidence, connections: Connections) -> Iterable[Charge | str]:
    intents: dict[str, list[Intent]] = defaultdict(list)
    for intent in seen.intents:
        intents[intent.send_id].append(intent)
    for one in seen.told:
        if not (one.final and one.type == "uncertain"):
            continue
        # Who holds ends with the deal that is in doubt; who sends again may end so deals later, where nothing can go.
        holds = scene.BY_KEY[one.campaign].on_uncertain == "hold"
        tried = [intent for intent in intents[one.send_id] if intent.deal == one.deal or not holds]
        for intent in reversed(tried):
            connection = connections.at((scene.address(intent.slot), intent.port), intent.at)
            cause = None if connection is None else connections.cause(connection)
            if connection is not None and cause is not None:
                yield Charge(send_id=one.send_id, what="uncertain", connection=connection, cause=cause)
                break
        else:
            yield f"{one.send_id} uncertain ({one.class_}), {len(tried)} intents, none on a connection that was ended"
