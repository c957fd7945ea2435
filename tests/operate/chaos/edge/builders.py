"""The evidence of a small run in which all went well, and what a broken sender would have left instead.

Two sends a campaign on each of two connections, one kill, one stop; `World` puts messages and words together and
`judged` gives the checks that fail.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import count, islice
from typing import Any, Final

import msgspec

from streams.operate.chaos.edge import causes, checks, people, scene
from streams.operate.chaos.edge.blows import Blow
from streams.operate.chaos.edge.people import PlannedEvent
from streams.operate.chaos.edge.witnesses import Asked, Evidence, Intent, Outcome, Taken, Told
from streams.operate.simulator import Ended

SEED: Final = 5
HOLD: Final = "acme:autumn"
RESEND: Final = "kaze:weekend"


def at(seconds: float) -> datetime:
    """The run's clock."""
    return datetime.fromtimestamp(1_000_000 + seconds, UTC)


def planned(campaign: str, story: str = "plain", *, nth: int = 0) -> PlannedEvent:
    """The n-th event of a story in a campaign, of a plan's first groups."""
    return [one for one in first_events() if one.campaign == campaign and one.story == story][nth]


@cache
def first_events() -> tuple[PlannedEvent, ...]:
    """Those of the plan's first groups."""
    return tuple(one for group in islice(people.groups(SEED), 20) for one in group.events)


@dataclass(kw_only=True)
class World:
    """What happened; times in seconds of the run."""

    events: list[PlannedEvent] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    connections: list[Ended] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    entered: dict[tuple[str, str], float] = field(default_factory=dict)
    _offsets: Any = field(default_factory=count)
    _journal: Any = field(default_factory=count)

    def ask(self, event: PlannedEvent) -> str:
        """Upstream asks for it; its send id."""
        self.events.append(event)
        place = ("recipients.marketing", 0, next(self._offsets))
        self.asked.append(Asked(place=place, campaign=event.campaign, number=event.number))
        return f"{event.number:032x}"

    def tell(self, event: PlannedEvent, type_: str = "accepted", *, class_: str = "", final: bool = True) -> None:
        """A delivery event."""
        [place] = [one.place for one in self.asked if one.number == event.number]
        send_id = f"{event.number:032x}"
        self.told.append(
            Told(
                event_id=f"{send_id}-{type_}",
                send_id=send_id,
                campaign=event.campaign,
                person=event.person,
                place=place,
                type=type_,
                final=final,
                class_=class_,
                address_id=f"1-{event.address}",
                deal=1,
                slot=0,
                at=at(1).timestamp(),
            )
        )

    def intend(self, event: PlannedEvent, *, port: int, when: float) -> None:
        """An intent on a connection of slot 0."""
        send_id = f"{event.number:032x}"
        self.intents.append(
            Intent(send_id=send_id, deal=1, slot=0, offset=next(self._journal), port=port, at=at(when).timestamp())
        )

    def know(self, event: PlannedEvent, *, when: float, final: bool = True) -> None:
        """Its outcome is in the journal."""
        send_id = f"{event.number:032x}"
        self.outcomes.append(
            Outcome(send_id=send_id, deal=1, slot=0, offset=next(self._journal), final=final, at=at(when).timestamp())
        )

    def take(self, event: PlannedEvent, *, port: int, when: float, outcome: str = "accept", digest: str = "d") -> None:
        """The receiver accepts a message on a connection of slot 0."""
        send_id = f"{event.number:032x}"
        self.taken.append(
            Taken(
                send_id=send_id,
                message_id=f"<{send_id}@acme.example>",
                recipient=event.address,
                digest=digest,
                socket=(scene.address(0), port),
                at=at(when).timestamp(),
                outcome=outcome,
            )
        )

    def again(self, event: PlannedEvent, *, port: int, when: float) -> None:
        """It is sent, whatever was known of it."""
        self.intend(event, port=port, when=when - 0.1)
        self.take(event, port=port, when=when)

    def connect(self, port: int, *, opened: float, ended: float, how: str = "quit") -> None:
        """A connection of slot 0, once it is over."""
        self.connections.append(
            msgspec.convert(
                {
                    "peer": scene.address(0),
                    "port": port,
                    "opened": at(opened),
                    "ended": at(ended),
                    "how": how,
                    "stage": "idle",
                    "accepted": 1,
                },
                Ended,
            )
        )

    def kill(self, when: float, *, point: str = "after-dot", of: PlannedEvent | None = None) -> Blow:
        """A sender dies, at a send's point."""
        blow = Blow(
            number=len(self.blows) + 1,
            kind="kill",
            point=point,
            member="sender-0",
            at=at(when).timestamp(),
            until=at(when).timestamp(),
            send_id="" if of is None else f"{of.number:032x}",
        )
        self.blows.append(blow)
        return blow

    def stop(self, when: float, *, until: float, ports: tuple[int, ...]) -> Blow:
        """A sender is stopped with these connections open."""
        blow = Blow(
            number=len(self.blows) + 1,
            kind="stop",
            point="",
            member="sender-0",
            at=at(when).timestamp(),
            until=at(until).timestamp(),
            open=frozenset((scene.address(0), port) for port in ports),
            replaced=True,
        )
        self.blows.append(blow)
        return blow

    def deliver(self, event: PlannedEvent, *, port: int, when: float) -> None:
        """All of it, as it should be."""
        self.ask(event)
        self.intend(event, port=port, when=when)
        self.take(event, port=port, when=when + 0.1)
        self.know(event, when=when + 0.2)
        self.tell(event)

    def evidence(self) -> Evidence:
        """As the witnesses tell it; Kafka and ClickHouse agree."""
        ends: dict[str, Counter[str]] = defaultdict(Counter)
        for one in self.told:
            if one.final:
                ends[one.campaign][one.type] += 1
        sums = {0: (len(self.told), sum(range(len(self.told))))}
        return Evidence(
            asked=tuple(self.asked),
            told=tuple(self.told),
            intents=tuple(self.intents),
            outcomes=tuple(self.outcomes),
            entered=self.entered,
            taken=tuple(sorted(self.taken, key=lambda one: one.at)),
            connections=tuple(sorted(self.connections, key=lambda one: one.ended)),
            records=sums,
            rows=sums,
            ends=ends,
        )

    def found(self) -> causes.Found:
        """What ended the connections, and what came of it."""
        return causes.find(self.evidence(), self.blows)

    def failing(self, **changed: Any) -> set[str]:
        """The names of the checks that do not hold; `changed` is other evidence."""
        seen = msgspec.structs.replace(self.evidence(), **changed)
        found = causes.find(seen, self.blows)
        return {one.name for one in checks.of_evidence(self.events, seen, self.blows, found) if not one.ok}


def killed() -> World:
    """Port 1 ends by QUIT; 2 and 3 by a kill at 10 s: one mail each is held in doubt, or sent again on port 4."""
    world = World()
    world.connect(1, opened=0, ended=20)
    world.connect(2, opened=0, ended=10.01, how="lost")
    world.connect(3, opened=0, ended=10.02, how="lost")
    world.connect(4, opened=11, ended=20)
    world.deliver(planned(HOLD), port=1, when=1)
    world.deliver(planned(RESEND), port=2, when=2)
    in_doubt, again = planned(HOLD, nth=1), planned(RESEND, nth=1)
    world.ask(in_doubt)
    world.intend(in_doubt, port=2, when=9.8)
    world.take(in_doubt, port=2, when=9.9)
    world.know(in_doubt, when=11)
    world.tell(in_doubt, "uncertain", class_="sender_lost")
    world.ask(again)
    world.intend(again, port=3, when=9.8)
    world.take(again, port=3, when=9.9)
    world.intend(again, port=4, when=12)
    world.take(again, port=4, when=12.1)
    world.know(again, when=12.2)
    world.tell(again)
    world.kill(10, of=again)
    return world
