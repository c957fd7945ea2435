"""The bench from its broker to its verdict.

1. A broker, a topic with the input.
2. A run of each workload that counts in no figure: a broker just started compiles what a workload has it do, and
   transactions, which only ours have, would pay for it alone.
3. Rounds: every workload, every side, each as a process of its own; odd rounds begin with stock, even ones with ours,
   so that what else the machine does meets both.
4. After each process, what it did is read from Kafka and compared (`audit`).
5. Last the latencies of the partition loop.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from streams.operate.bench import audit, latency, processes, stage, workloads
from streams.operate.bench.latency import Latency
from streams.operate.bench.workloads import SIDES, Measured, Side, Task, Workload, margin
from streams.runtime.settings import Settings

# Events of the latency's phases: a p99 of 200 is its second worst.
IDLE_EVENTS: Final = 200
BUSY_S: Final = 4
# The number of the round before the first.
WARM_UP: Final = 0


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """One process that ran: what it measured, and what was wrong."""

    workload: Workload
    side: Side
    round: int
    measured: Measured | None
    faults: tuple[str, ...]

    @property
    def line(self) -> str:
        """In one line."""
        if self.round == WARM_UP and not self.faults:
            return f"the broker is warm: {self.workload}"
        told = "nothing" if self.measured is None else f"{self.measured.per_s:,.0f} events/s"
        wrong = f"  {'; '.join(self.faults)}" if self.faults else ""
        return f"round {self.round}  {self.workload} {self.side}: {told}{wrong}"


class Progress:
    """Told what is done next, and what came of it."""

    def begin(self, words: str) -> None:
        """Something begins."""

    def done(self, ran: Ran | str) -> None:
        """A process has ended."""


class Benched(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured."""

    events: int
    rounds: int
    ran: tuple[Ran, ...]
    latency: Latency | str | None  # None where it was not asked for

    @property
    def sides(self) -> dict[Workload, tuple[Side, ...]]:
        """The sides of each workload that ran."""
        here = {one.workload for one in self.ran}
        return {workload: sides for workload, sides in SIDES.items() if workload in here}


def steps(only: Sequence[Workload], *, rounds: int) -> int:
    """How many processes a run has."""
    return sum(1 + rounds * len(SIDES[workload]) for workload in only if workload in SIDES) + ("latency" in only)


def bench(
    base: Settings, folder: Path, progress: Progress, *, events: int, rounds: int, only: Sequence[Workload]
) -> Benched:
    """Run these workloads in this folder.  Raises RuntimeFault or EmbeddedError, with nothing left running."""
    progress.begin("starting Kafka")
    with stage.broker(base, folder) as settings:
        progress.begin(f"writing {events:,} events")
        stage.fill(settings, events)
        ran: list[Ran] = []
        for task, number in tasks(only, events=events, rounds=rounds):
            progress.begin(f"{task.workload}: {task.side}, round {number} of {rounds}")
            one = _run(settings, task, number)
            ran.append(msgspec.structs.replace(one, measured=None) if number == WARM_UP else one)
            progress.done(ran[-1])
        found = _latency(settings, progress, events) if "latency" in only else None
    return Benched(events=events, rounds=rounds, ran=tuple(ran), latency=found)


def _latency(settings: Settings, progress: Progress, events: int) -> Latency | str:
    progress.begin("latency of a worker that is idle, then busy")
    idle, busy = min(IDLE_EVENTS, events // 10), min(latency.BUSY_PER_S * BUSY_S, events)
    found = latency.measure(settings, idle=idle, busy=busy)
    progress.done(found if isinstance(found, str) else "latency measured")
    return found


def tasks(only: Sequence[Workload], *, events: int, rounds: int) -> Iterator[tuple[Task, int]]:
    """Every process in its order, with its round's number; round WARM_UP has one side, the last, of each workload."""
    aside = margin(events)
    for number in range(WARM_UP, rounds + 1):
        for workload, sides in SIDES.items():
            if workload not in only:
                continue
            order: Sequence[Side] = sides[-1:] if number == WARM_UP else sides if number % 2 else sides[::-1]
            for side in order:
                run = f"{workload}-{side}-{number}"
                yield Task(workload=workload, side=side, run=run, events=events, first=aside, last=aside), number


def _run(settings: Settings, task: Task, number: int) -> Ran:
    stage.make_outputs(settings, task)
    process = workloads.process(task)
    with processes.started(settings, process) as child:
        found = processes.outcome(settings, process, child)
    if isinstance(found, str):
        return Ran(workload=task.workload, side=task.side, round=number, measured=None, faults=(found,))
    wrong = tuple(audit.faults(settings, task, found))
    return Ran(workload=task.workload, side=task.side, round=number, measured=found, faults=wrong)
