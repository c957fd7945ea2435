"""A chaos run from its first process to its last.

1. Broker and workers; wait until all is recovered.
2. Upstream, at the rate that spreads its events over the rounds; the sampler beside it; the rounds.
3. What is left of the events; wait until the group is done with all, or the patience ends.
4. Read everything aside, stop everything, see that it is gone, and judge.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from streams.operate.chaos import tally
from streams.operate.chaos.blows import Struck
from streams.operate.chaos.checks import of_run
from streams.operate.chaos.commits import stale_answers
from streams.operate.chaos.crew import Crew
from streams.operate.chaos.runtime import checks, events, evidence, figures, plan, worker
from streams.operate.chaos.runtime.events import DEALING, PLAIN
from streams.operate.chaos.runtime.evidence import Evidence
from streams.operate.chaos.runtime.figures import Failover, Gap
from streams.operate.chaos.runtime.plan import Kind, Plan
from streams.operate.chaos.runtime.rounds import Rounds
from streams.operate.chaos.runtime.upstream import REST_PER_S, Upstream
from streams.operate.chaos.sampler import Sampler
from streams.operate.chaos.watching import LOOK_S, Watcher, until
from streams.operate.proof.checks import Check
from streams.runtime.settings import KafkaSettings, Settings, WorkerSettings

# How many plain agents there are beside those that deal.
PLAINS: Final = 2
READY_S: Final = 120.0
# Seconds for the first events to be done: on a busy machine a group forms late after its workers are ready.
FIRST_S: Final = 60.0
# Seconds for which nothing may move after the last round, until the run is judged as it stands: more than two sessions,
# a fence, a recovery, and what the broker may take meanwhile.
PATIENCE_S: Final = 120.0
# A worker whose broker is away moves nothing, and on a machine with other work a killed broker is away for a minute and
# a half at worst, twice in a row: that is no worker that hangs.
STALLED_S: Final = 240.0
GONE_S: Final = 5.0
# At the end of the rounds about so many of the events are still to come, should rounds take less than was thought.
RESERVE: Final = 0.05
Blows = tuple[Struck[Kind], ...]

# What each kind of workers reads, and where its effects go.
_WATCHED: Final = {
    DEALING: (events.SOURCES, events.OUTPUT),
    PLAIN: ((events.PLAIN_SOURCE,), events.PLAIN_OUTPUT),
}


class Survived(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    plan: Plan
    struck: Blows
    checks: tuple[Check, ...]
    gaps: tuple[Gap, ...]
    failovers: dict[Kind, Failover]
    figures: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(one.ok for one in self.checks)


def make_folder() -> Path:
    """A new folder for all data of a run."""
    return Path(tempfile.mkdtemp(prefix="evenpost-chaos-"))


def settings(folder: Path, *, partitions: int, session_timeout_s: float) -> Settings:
    """The run's own: nothing of yours counts, so that it never kills a broker that is not its own."""
    return Settings(
        data_dir=folder.absolute(),
        kafka=KafkaSettings(gate_partitions=partitions, slots=partitions, session_timeout_s=session_timeout_s),
        worker=WorkerSettings(stalled_s=STALLED_S),
    )


def torment(base: Settings, planned: Plan, watcher: Watcher) -> Survived:
    """Run it.  Raises FleetError, EmbeddedError or RuntimeFault, with nothing left running."""
    started = time.monotonic()
    watcher.phase("starting")
    with Crew(base, members=_members(planned), program=_program, say=watcher.note) as crew:
        until(crew.ready, READY_S, "the workers are not ready; their words are in logs/")
        upstream = Upstream(crew.settings, events=planned.events)
        samplers = {kind: _sampler(crew.settings, kind) for kind in _WATCHED}
        threads: tuple[Upstream | Sampler, ...] = (upstream, *samplers.values())
        for thread in threads:
            thread.start()
        done = samplers[DEALING]
        try:
            _begin(planned, upstream, done, watcher, session_s=base.kafka.session_timeout_s)
            struck = _rounds(crew, planned, upstream, done, watcher)
            _finish(planned, upstream, samplers, watcher)
            watcher.phase("reading everything aside")
            seen = _gather(crew.settings, samplers)
        finally:
            for thread in threads:
                thread.stop()
        processes = psutil.Process().children(recursive=True)
        watcher.phase("stopping")
    _, left = psutil.wait_procs(processes, timeout=GONE_S)
    watcher.phase("judging")
    for thread in threads:
        if thread.error is not None:
            raise thread.error
    judged = [
        *checks.of_evidence(seen, planned=planned.events),
        *of_run(struck, unasked=crew.unasked, left=len(left), started=len(processes)),
    ]
    return _survived(
        planned,
        struck,
        judged,
        seen,
        decided=tally.read(worker.tally_folder(crew.settings)),
        seconds=time.monotonic() - started,
    )


def _members(planned: Plan) -> list[str]:
    return [f"{DEALING}-{n}" for n in range(planned.workers)] + [f"{PLAIN}-{n}" for n in range(PLAINS)]


def _program(name: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "streams.operate.chaos.runtime.member", "--member", name)


def _begin(planned: Plan, upstream: Upstream, sampler: Sampler, watcher: Watcher, *, session_s: float) -> None:
    """Until the workers work, an event a partition: who is struck before its first effect shows nothing."""
    first = min(len(sampler.sources), planned.events // 2)
    watcher.phase("the first events")
    upstream.per_s = planned.events * (1 - RESERVE) / plan.seconds(planned, session_timeout_s=session_s)
    until(lambda: sampler.events_committed >= first, FIRST_S, f"fewer than {first} events were done")
    watcher.progress(upstream.sent, sampler.events_committed, planned.events)


def _rounds(crew: Crew, planned: Plan, upstream: Upstream, sampler: Sampler, watcher: Watcher) -> Blows:
    session_s = crew.settings.kafka.session_timeout_s
    length_s = plan.seconds(planned, session_timeout_s=session_s)
    left_s = length_s
    struck: list[Struck[Kind]] = []

    def sleep(seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            watcher.progress(upstream.sent, sampler.events_committed, planned.events)
            time.sleep(min(LOOK_S, end - now))

    rounds = Rounds(crew, sleep=sleep)
    for one in planned.rounds:
        watcher.phase(f"round {one.number} of {len(planned.rounds)}: {one.kind}")
        # Rounds take longer or shorter than was thought: what is left is spread over what is left.
        upstream.per_s = (planned.events * (1 - RESERVE) - upstream.sent) / max(left_s, 1.0)
        struck.append(rounds.do(one))
        left_s -= one.pause_s + plan.lasts(one.kind, session_s) + one.beyond_s
        done = struck[-1]
        watcher.note(f"{done.kind} {done.member or 'kafka'}, {done.until - done.at:.1f} s {done.missed}")
    return tuple(struck)


def _sampler(of: Settings, kind: str) -> Sampler:
    sources, output = _WATCHED[kind]
    return Sampler(
        of.kafka,
        evidence.group(of, kind),
        sources=evidence.places(of, *sources),
        outputs=evidence.places(of, output),
    )


def _finish(planned: Plan, upstream: Upstream, samplers: Mapping[str, Sampler], watcher: Watcher) -> None:
    watcher.phase("the rest of the events")
    upstream.per_s = REST_PER_S
    moved, moved_at = -1, time.monotonic()
    while not upstream.done or moved < upstream.records:
        watcher.progress(upstream.sent, samplers[DEALING].events_committed, planned.events)
        done = sum(one.events_committed for one in samplers.values())
        if done > moved:
            moved, moved_at = done, time.monotonic()
        elif time.monotonic() - moved_at > PATIENCE_S:
            watcher.note(f"nothing moved for {PATIENCE_S:.0f} s; judging what there is")
            return
        time.sleep(LOOK_S)


def _gather(of: Settings, samplers: Mapping[str, Sampler]) -> Evidence:
    """What there is, once no effect waits in the table any more, or the patience for that ends."""
    deadline = time.monotonic() + events.WAIT_MS / 1000 + PATIENCE_S / 4
    while True:
        seen = evidence.gather(of, samplers)
        if not any(key.startswith(worker.WAITING) for key in seen.table) or time.monotonic() > deadline:
            return seen
        time.sleep(LOOK_S)


def _survived(
    planned: Plan,
    struck: Blows,
    judged: list[Check],
    seen: Evidence,
    *,
    decided: int,
    seconds: float,
) -> Survived:
    partitions = figures.by_partition(seen.found)
    longest = figures.gaps(partitions)
    failed = figures.failovers(partitions, struck)
    numbers: dict[str, Any] = {
        "seed": planned.seed,
        "events": len(seen.asked),
        "effects": len(seen.found),
        "rounds": dict(sorted(Counter(str(one.kind) for one in struck).items())),
        "decided_again": decided - len(seen.asked),
        "take_overs": figures.takeovers(partitions),
        "plain_events": len(seen.plain_asked),
        "plain_effects": len(seen.plain_found),
        "samples": len(seen.offsets.samples),
        "commits": len(seen.offsets.log),
        "stale_answers": stale_answers(seen.offsets) + stale_answers(seen.plain_offsets),
        "longest_gap_s": round(longest[0].seconds, 1) if longest else None,
        "longest_wait_s": round(figures.longest_wait_s(seen), 1),
        "failover_s": {str(kind): [one.median_s, one.longest_s] for kind, one in failed.items()},
        "seconds": round(seconds, 1),
    }
    return Survived(
        plan=planned,
        struck=struck,
        checks=tuple(judged),
        gaps=tuple(longest),
        failovers=failed,
        figures=numbers,
    )
