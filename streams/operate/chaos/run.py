"""A chaos run from its first process to its last.

1. Broker and workers; wait until all is recovered.
2. Upstream, at the rate that spreads its events over the rounds; the sampler beside it; the rounds.
3. What is left of the events; wait until the group is done with all, or the patience ends.
4. Read everything aside, stop everything, see that it is gone, and judge.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from streams.operate.chaos import checks, events, evidence, figures, plan, tally, worker
from streams.operate.chaos.crew import Crew
from streams.operate.chaos.events import DEALING, PLAIN
from streams.operate.chaos.evidence import Evidence
from streams.operate.chaos.figures import Failover, Gap
from streams.operate.chaos.plan import Kind, Plan
from streams.operate.chaos.rounds import Rounds, Struck
from streams.operate.chaos.sampler import Sampler
from streams.operate.chaos.upstream import REST_PER_S, Upstream
from streams.operate.checks import Check
from streams.operate.errors import FleetError
from streams.runtime.settings import KafkaSettings, Settings, WorkerSettings

READY_S: Final = 120.0
# Seconds for which nothing may move after the last round, until the run is judged as it stands: more than two sessions,
# a fence, a recovery, and what the broker may take meanwhile.
PATIENCE_S: Final = 120.0
# A worker whose broker is away moves nothing, and on a machine with other work a killed broker is away for a minute and
# a half at worst, twice in a row: that is no worker that hangs.
STALLED_S: Final = 240.0
GONE_S: Final = 5.0
LOOK_S: Final = 0.5
# At the end of the rounds about so many of the events are still to come, should rounds take less than was thought.
RESERVE: Final = 0.05
# What each kind of workers reads, and where its effects go.
_WATCHED: Final = {
    DEALING: (events.SOURCES, events.OUTPUT),
    PLAIN: ((events.PLAIN_SOURCE,), events.PLAIN_OUTPUT),
}


class Watcher(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the run tells what happens: `phase` begins, `note` happened, `progress` is (arrived, done, planned)."""

    phase: Callable[[str], None]
    note: Callable[[str], None]
    progress: Callable[[int, int, int], None]


class Survived(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    plan: Plan
    struck: tuple[Struck, ...]
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
    with Crew(base, workers=planned.workers, say=watcher.note) as crew:
        _until(crew.ready, READY_S, "the workers are not ready; their words are in logs/")
        upstream = Upstream(crew.settings, events=planned.events)
        samplers = {kind: _sampler(crew.settings, kind) for kind in _WATCHED}
        threads: tuple[Upstream | Sampler, ...] = (upstream, *samplers.values())
        for thread in threads:
            thread.start()
        done = samplers[DEALING]
        try:
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
        *checks.of_run(struck, unasked=crew.unasked, left=len(left), started=len(processes)),
    ]
    return _survived(
        planned,
        struck,
        judged,
        seen,
        decided=tally.read(worker.tally_folder(crew.settings)),
        seconds=time.monotonic() - started,
    )


def _rounds(crew: Crew, planned: Plan, upstream: Upstream, sampler: Sampler, watcher: Watcher) -> tuple[Struck, ...]:
    session_s = crew.settings.kafka.session_timeout_s
    length_s = plan.seconds(planned, session_timeout_s=session_s)
    left_s = length_s
    struck: list[Struck] = []

    def sleep(seconds: float) -> None:
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            watcher.progress(upstream.sent, sampler.events_committed, planned.events)
            time.sleep(min(LOOK_S, until - now))

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
        samples = {kind: tuple(sampler.samples) for kind, sampler in samplers.items()}
        seen = evidence.gather(of, samples)
        if not any(key.startswith(worker.WAITING) for key in seen.table) or time.monotonic() > deadline:
            return seen
        time.sleep(LOOK_S)


def _survived(
    planned: Plan, struck: tuple[Struck, ...], judged: list[Check], seen: Evidence, *, decided: int, seconds: float
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


def _until(fact: Callable[[], bool], limit_s: float, words: str) -> None:
    deadline = time.monotonic() + limit_s
    while not fact():
        if time.monotonic() > deadline:
            raise FleetError(f"{words} (after {limit_s:.0f} s)")
        time.sleep(LOOK_S)
