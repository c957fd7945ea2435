"""A run from its first process to its last.

1. A Kafka of its own, three gate workers, everything declared; a moment, until each gate knows it.
2. Stage by stage: recipients, and when half of the stage is decided, the blow.  So each one meets mail under way, and
   there is mail behind each.
3. The gates work until each event is decided, or nothing moves any more.
4. The sends topics are read; everything stops; all of it is judged.
"""

import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import psutil

from schemas.topics import EGRESS, RECIPIENTS_MARKETING, RECIPIENTS_TRANSACTIONAL
from streams.operate.bench.spread import audit, beside, evidence, scene, speed, stage
from streams.operate.bench.spread.audit import Evenness, Ordered, Total
from streams.operate.bench.spread.evidence import Evidence
from streams.operate.bench.spread.people import people
from streams.operate.bench.spread.plan import Blow, Kind, Plan
from streams.operate.chaos.crew import Crew
from streams.operate.chaos.watching import LOOK_S, Watcher, until
from streams.runtime.cluster import Publisher
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.observer import Observer
from streams.runtime.settings import Settings
from streams.runtime.state.replication import FRESH_S

# Seconds: a busy machine of two cores has all workers ready in a third of it.
READY_S: Final = 120.0
# Seconds without any decision until the run is judged as it stands: several sessions, and the start of a worker.
PATIENCE_S: Final = 90.0
# A gate knows an egress record at latest when its views must be fresh again, and then the batch that it decides ends.
KNOWN_S: Final = FRESH_S + 1.0
GONE_S: Final = 5.0


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; `seconds` from the first event to the last decision."""

    plan: Plan
    evidence: Evidence
    order: Ordered
    evenness: Evenness
    at_random: float
    forgetful: float
    totals: dict[int, Total]
    deals_per_s: dict[int, float]
    seconds: float
    missed: tuple[str, ...]
    unasked: tuple[str, ...]
    processes_left: int


def make_folder() -> Path:
    """A new folder for all data of a run."""
    return Path(tempfile.mkdtemp(prefix="evenpost-bench-"))


def spread(folder: Path, planned: Plan, watcher: Watcher, *, session_timeout_s: float) -> Spread:
    """Run it.  Raises FleetError, EmbeddedError or RuntimeFault, with nothing left running."""
    watcher.phase("the dealer alone")
    rates = {slots: speed.deals_per_s(slots) for slots in speed.LIMITS}
    watcher.phase("starting")
    base = stage.settings(folder, session_timeout_s=session_timeout_s)
    with Crew(base, members=planned.members, program=stage.program, say=watcher.note) as crew:
        until(crew.ready, READY_S, "the gates are not ready; their words are in logs/")
        watcher.phase("declaring tenants, IPs, campaigns, credit")
        stage.declare(crew.settings)
        time.sleep(KNOWN_S)
        dealing = _Dealing(crew, planned, watcher)
        try:
            dealing.go()
        finally:
            dealing.close()
        watcher.phase("reading the sends")
        seen = _gathered(crew.settings, planned.events)
        processes = psutil.Process().children(recursive=True)
        watcher.phase("stopping")
    _, left = psutil.wait_procs(processes, timeout=GONE_S)
    watcher.phase("judging")
    order = audit.ordered(seen, scene.phases())
    return Spread(
        plan=planned,
        evidence=seen,
        order=order,
        evenness=audit.evenness(order.sequences),
        at_random=audit.evenness(beside.at_random(order.sequences)).between,
        forgetful=audit.evenness(beside.forgetful(order.sequences, restarts=planned.restarts)).between,
        totals=audit.totals(order.sequences),
        deals_per_s=rates,
        seconds=dealing.seconds,
        missed=tuple(dealing.missed),
        unasked=tuple(crew.unasked),
        processes_left=len(left),
    )


def _gathered(of: Settings, events: int) -> Evidence:
    """What was dealt, once each event has a send or no more come: a gate that was just started has little credit."""
    before = -1
    while True:
        seen = evidence.gather(of)
        dealt = sum(map(len, seen.sources.values()))
        if dealt >= events or dealt == before:
            return seen
        before = dealt
        time.sleep(KNOWN_S)


class _Dealing:
    """The gates at work."""

    def __init__(self, crew: Crew, planned: Plan, watcher: Watcher) -> None:
        self._crew = crew
        self._plan = planned
        self._watcher = watcher
        self._people = people(planned.events, seed=planned.seed)
        kafka = crew.settings.kafka
        self._observer = Observer(kafka, f"{kafka.prefix}gate")
        self._places = [
            (crew.settings.topic(topic.name), partition)
            for topic in (RECIPIENTS_TRANSACTIONAL, RECIPIENTS_MARKETING)
            for partition in range(kafka.gate_partitions)
        ]
        self._sent = self._decided = 0
        self.seconds = 0.0
        self.missed: list[str] = []

    def go(self) -> None:
        """All stages."""
        began = time.monotonic()
        with Publisher(self._crew.settings, client_id="evenpost-bench") as publisher:
            for number, count in enumerate(self._plan.stages):
                self._watcher.phase(f"stage {number + 1} of {len(self._plan.stages)}")
                self._ask(publisher, count)
                if number < len(self._plan.blows):
                    half = self._sent - count // 2
                    self._wait(lambda half=half: self._decided >= half)  # type: ignore[misc]
                    self._blow(publisher, self._plan.blows[number])
            self._watcher.phase("the rest")
            self._wait(lambda: self._decided >= self._sent)
        self.seconds = time.monotonic() - began

    def close(self) -> None:
        """Ask the broker no more."""
        self._observer.close()

    def _ask(self, publisher: Publisher, count: int) -> None:
        for asked in islice(self._people, count):
            publisher.send(asked.topic, asked.key, asked.body)
        publisher.flush()
        self._sent += count

    def _wait(self, fact: Callable[[], bool]) -> None:
        """Until it is so, or nothing was decided for so long that something is wrong."""
        moved_at, before = time.monotonic(), -1
        while not fact():
            self._look()
            if self._decided > before:
                before, moved_at = self._decided, time.monotonic()
            elif time.monotonic() - moved_at > PATIENCE_S:
                self._watcher.note(f"nothing moved for {PATIENCE_S:.0f} s; going on")
                return
            time.sleep(LOOK_S)

    def _look(self) -> None:
        try:
            self._decided = sum(self._observer.committed(self._places).values())
        except ClusterUnreachableError as error:
            self._watcher.note(str(error))
        self._watcher.progress(self._sent, self._decided, self._plan.events)

    def _blow(self, publisher: Publisher, blow: Blow) -> None:
        self._watcher.note(f"{blow.name}, {self._decided:,} decided")
        match blow.kind:
            case Kind.KILL:
                self._crew.kill(blow.member)
                self._crew.spawn(blow.member)
            case Kind.RESTART:
                code = self._crew.terminate(blow.member)
                if code:
                    self.missed.append(f"{blow.member} ended with {code}")
                self._crew.spawn(blow.member)
            case Kind.ADD | Kind.DRAIN:
                slot = scene.added() if blow.kind is Kind.ADD else scene.drained()
                publisher.send(EGRESS, str(slot.slot), slot)
                publisher.flush()
                time.sleep(KNOWN_S)
