"""What the journal knew of each mail, and on which send a process died: where a second mail may come from.  Pure.

1. Whatever the receiver took has an intent in the journal, and that names the connection on which it came.
2. Behind a final outcome the journal has no intent of that send any more.  (A deal is one slot's, so its words stand in
   one partition, in order.)
3. A mail that came twice by a kill stood between its dot and its outcome as its sender died, on whichever connection:
   the receiver has it, its intent is the connection's last (the next one would stand behind its outcome), and no
   outcome of it was handed over before the death and got there.
4. The send at whose point the process died, which its last word names, came twice of it only at `after-dot` and
   `after-250`.  Other connections may have been anywhere then, and so may the message before on the same one: at
   `before-intent` and `after-mail` its outcome is handed over and perhaps not on the broker.
5. At its point a send has its word in the journal: from `after-intent` on its intent, at `after-outcome` its outcome.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from streams.operate.chaos.edge import scene
from streams.operate.chaos.edge.blows import Blow
from streams.operate.chaos.edge.causes import SEEN_WITHIN_S, SLACK_S, Charge, Connections, Found
from streams.operate.chaos.edge.witnesses import Evidence, Intent, Outcome
from streams.operate.proof.checks import Check, at_most, named
from streams.operate.simulator import Ended
from streams.runtime.points import Point

# Where nobody knows whether the mail went, by the points' names.
IN_DOUBT: Final[frozenset[Point]] = frozenset({"after-dot", "after-250"})
_INTENT_IS_DURABLE: Final[frozenset[Point]] = IN_DOUBT | {"after-intent", "mid-body"}


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A connection, and the intents that name it, in the journal's order."""

    connection: Ended
    intents: list[Intent]


class Journal:
    """The journal's words by send and by connection."""

    def __init__(self, seen: Evidence) -> None:
        self.intents: Mapping[str, list[Intent]] = defaultdict(list)
        self.outcomes: Mapping[str, list[Outcome]] = defaultdict(list)
        self._lines: dict[int, _Line] = {}
        self._connections = Connections(seen.connections, ())
        for outcome in seen.outcomes:
            self.outcomes[outcome.send_id].append(outcome)
        for intent in sorted(seen.intents, key=lambda one: one.offset):
            self.intents[intent.send_id].append(intent)
            connection = self._connections.at((scene.address(intent.slot), intent.port), intent.at)
            if connection is not None:
                self._lines.setdefault(id(connection), _Line(connection=connection, intents=[])).intents.append(intent)

    def on(self, connection: Ended) -> list[Intent]:
        """Those that name it, in order."""
        line = self._lines.get(id(connection))
        return [] if line is None else line.intents

    def in_hand(self, blow: Blow) -> bool:
        """Whether the send on which a process died has an intent on a connection that ended with the process."""
        ends = (self._connections.at((scene.address(one.slot), one.port), one.at) for one in self.intents[blow.send_id])
        return any(-SLACK_S <= end.ended.timestamp() - blow.at <= SEEN_WITHIN_S for end in ends if end is not None)


def own(blow: Blow, found: Found) -> list[Charge]:
    """Second mails of the very send on which the process died."""
    return [one for one in found.charged(blow, what="duplicate") if one.send_id == blow.send_id]


def of_journal(seen: Evidence, blows: Sequence[Blow], found: Found) -> list[Check]:
    """All that the journal has a say in."""
    journal = Journal(seen)
    kills = [blow for blow in blows if blow.kind == "kill"]
    return [
        _without_intent(seen, journal),
        _behind_outcome(seen, journal),
        _known_and_twice(kills, found, journal),
        _twice_elsewhere(kills, found),
        _words_at_points(kills, journal),
    ]


def _without_intent(seen: Evidence, journal: Journal) -> Check:
    without = [
        f"{one.send_id} on {one.socket[0]}:{one.socket[1]}"
        for one in seen.taken
        if not any(
            (scene.address(intent.slot), intent.port) == one.socket and intent.at <= one.at + SLACK_S
            for intent in journal.intents[one.send_id]
        )
    ]
    note = f"{len(seen.taken):,} taken, each with an intent that names its connection"
    return at_most("R1-R3 taken without an intent", len(without), 0, named(without) or note)


def _behind_outcome(seen: Evidence, journal: Journal) -> Check:
    final = [one for one in seen.outcomes if one.final]
    behind = [
        f"{one.send_id}, deal {intent.deal}"
        for one in final
        for intent in journal.intents[one.send_id]
        if intent.deal > one.deal or (intent.deal == one.deal and intent.offset > one.offset)
    ]
    note = f"{len(final):,} final outcomes, no intent behind them"
    return at_most("R1-R5 sent again behind an outcome", len(behind), 0, named(behind) or note)


def _known_and_twice(kills: Sequence[Blow], found: Found, journal: Journal) -> Check:
    twice = [(blow, one) for blow in kills for one in found.charged(blow, what="duplicate")]
    faults = [f"{blow.name}: {one.send_id} {fault}" for blow, one in twice for fault in _known(blow, one, journal)]
    note = f"{len(twice):,} came twice, each between its dot and its outcome as its sender died"
    return at_most("R1 twice though its outcome was durable", len(faults), 0, named(faults) or note)


def _known(blow: Blow, twice: Charge, journal: Journal) -> Iterator[str]:
    intents = journal.on(twice.connection)
    if not intents or intents[-1].send_id != twice.send_id:
        yield f"behind it {intents[-1].send_id if intents else 'no intent at all'}"
        return
    last = intents[-1]
    for outcome in journal.outcomes[twice.send_id]:
        behind = outcome.deal == last.deal and outcome.offset > last.offset
        if behind and outcome.at <= blow.at + SLACK_S:
            yield f"outcome {blow.at - outcome.at:.3f} s before the death"


def _twice_elsewhere(kills: Sequence[Blow], found: Found) -> Check:
    wrong = [f"{blow.name}: {blow.send_id}" for blow in kills if blow.point not in IN_DOUBT and own(blow, found)]
    right = sum(len(own(blow, found)) for blow in kills)
    others = sum(len(found.charged(blow, what="duplicate")) for blow in kills) - right
    note = f"{right:,} of sends on which a process died, {others:,} of its other connections' last"
    return at_most("R1 twice, killed elsewhere than after dot, 250", len(wrong), 0, named(wrong) or note)


def _words_at_points(kills: Sequence[Blow], journal: Journal) -> Check:
    faults: list[str] = []
    done = [blow for blow in kills if not blow.missed and blow.point != "mid-insert"]
    for blow in done:
        if not blow.send_id:
            faults.append(f"{blow.name}: its last word names no send")
        elif blow.point in _INTENT_IS_DURABLE and not journal.in_hand(blow):
            faults.append(f"{blow.name}: no intent of {blow.send_id}")
        elif blow.point == "after-outcome" and not any(
            one.at <= blow.at + SLACK_S for one in journal.outcomes[blow.send_id]
        ):
            faults.append(f"{blow.name}: no outcome of {blow.send_id}")
    note = f"{len(done):,} senders died at a send's point, its word in the journal"
    return at_most("R1 points without their word in the journal", len(faults), 0, named(faults) or note)
