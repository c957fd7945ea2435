"""A run of the edge's chaos from its first process to its last.

1. Receiver, broker, members, the first of them armed; what upstream declares, until it is in force.
2. Mail, as fast as it ends; kills side by side; then stops; then the broker's.
3. Members run unharmed until each event has its end, or nothing moves any more, and the warehouse has all of it.
4. Kafka and ClickHouse are read; everything stops; the receiver's logs are read; all of it is judged.
"""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from streams.operate.chaos.crew import Crew
from streams.operate.chaos.edge import causes, checks, known, people, scene, stage, upstream, witnesses
from streams.operate.chaos.edge.blows import Blow
from streams.operate.chaos.edge.causes import Found
from streams.operate.chaos.edge.following import Finals
from streams.operate.chaos.edge.plan import MEMBERS, Plan
from streams.operate.chaos.edge.stage import Receiver
from streams.operate.chaos.edge.upstream import Upstream
from streams.operate.chaos.edge.victims import Victims, armed_at_first
from streams.operate.chaos.edge.witnesses import Evidence
from streams.operate.chaos.watching import LOOK_S, Watcher, until
from streams.operate.proof.checks import Check
from streams.operate.proof.receiving import make_key
from streams.runtime.state.replication import FRESH_S

# Seconds: a busy machine of two cores has all members ready in a third of it.
READY_S: Final = 120.0
DECLARED_S: Final = 60.0
# Seconds for which no event may find its end until the run is judged as it stands: several sessions and retries.
PATIENCE_S: Final = 90.0
CAUGHT_UP_S: Final = 40.0
GONE_S: Final = 5.0


class Survived(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    plan: Plan
    blows: tuple[Blow, ...]
    found: Found
    checks: tuple[Check, ...]
    figures: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(one.ok for one in self.checks)


def torment(folder: Path, planned: Plan, watcher: Watcher, *, session_timeout_s: float) -> Survived:
    """Run it.  Raises FleetError, EmbeddedError or RuntimeFault, with nothing left running."""
    started = time.monotonic()
    watcher.phase("starting")
    make_key(folder / scene.KEY_FILE)
    with stage.receiver(folder) as receiver:
        base = stage.settings(folder, receiver, session_timeout_s=session_timeout_s)
        armed = armed_at_first(planned)
        (folder / "tmp").mkdir()
        with Crew(
            base, members=MEMBERS, program=lambda name: stage.program(folder, name, armed), say=watcher.note
        ) as crew:
            for name in armed:
                crew.expect_end(name)
            victims = Victims(crew, planned, receiver, armed=armed, say=watcher.note)
            source, seen = _under_blows(crew, victims, receiver, planned, watcher)
            processes = psutil.Process().children(recursive=True)
            watcher.phase("stopping")
    _, left = psutil.wait_procs(processes, timeout=GONE_S)
    watcher.phase("judging")
    seen = witnesses.with_receiver(seen, receiver)
    blows = tuple(victims.blows)
    found = causes.find(seen, blows)
    judged = (
        *checks.of_evidence(source.planned, seen, blows, found),
        *checks.of_run(blows, asked_for=planned.blows, unasked=crew.unasked, left=len(left), started=len(processes)),
    )
    numbers = _figures(planned, source, seen, blows, found) | {"seconds": round(time.monotonic() - started, 1)}
    return Survived(plan=planned, blows=blows, found=found, checks=judged, figures=numbers)


def _under_blows(
    crew: Crew, victims: Victims, receiver: Receiver, planned: Plan, watcher: Watcher
) -> tuple[Upstream, Evidence]:
    run_files = crew.settings.data_dir / "run"
    until(
        lambda: all((run_files / f"{name}.json").exists() for name in MEMBERS),
        READY_S,
        "the members are not ready; their words are in logs/",
    )
    watcher.phase("declaring tenants, IPs, suppressions, campaigns")
    barred = people.barred(planned.seed)
    upstream.declare(crew.settings, barred)
    until(lambda: not upstream.missing(crew.settings, barred), DECLARED_S, "campaigns or suppressions not in force")
    time.sleep(FRESH_S)  # a gate decides by no view that has not confirmed its end for so long: now each knows all
    finals = Finals(crew.settings)
    source = Upstream(crew.settings, seed=planned.seed, finals=lambda: finals.count)
    finals.start()
    source.start()
    try:
        _blows(victims, planned, source, finals, watcher)
        _finish(source, finals, watcher)
        watcher.phase("reading everything aside")
        return source, _gathered(crew, receiver)
    finally:
        victims.give_up()
        source.stop()
        finals.stop()
        for error in (source.error, finals.error):
            if error is not None:
                raise error


def _blows(victims: Victims, planned: Plan, source: Upstream, finals: Finals, watcher: Watcher) -> None:
    def sleep(seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            watcher.progress(source.sent, finals.count, source.sent)
            time.sleep(min(LOOK_S, end - now))

    watcher.phase(f"kills: {sum(map(len, planned.kills.values()))}, at labelled points")
    victims.kill_all(sleep)
    for number, stop in enumerate(planned.stops, 1):
        watcher.phase(f"stop {number} of {len(planned.stops)}: {stop.member}")
        victims.stop(stop, sleep)
    for number, blow in enumerate(planned.broker, 1):
        watcher.phase(f"broker's kill {number} of {len(planned.broker)}")
        victims.kill_broker(blow, sleep)
    if not planned.blows:
        sleep(PATIENCE_S / 10)
    while source.stories["dropafter"] < planned.drops:
        sleep(LOOK_S)


def _finish(source: Upstream, finals: Finals, watcher: Watcher) -> None:
    watcher.phase("the rest of the mail")
    source.finish()
    moved, moved_at = -1, time.monotonic()
    while not source.done or finals.count < source.sent:
        watcher.progress(source.sent, finals.count, source.sent)
        if finals.count > moved:
            moved, moved_at = finals.count, time.monotonic()
        elif time.monotonic() - moved_at > PATIENCE_S:
            watcher.note(f"nothing moved for {PATIENCE_S:.0f} s; judging what there is")
            return
        time.sleep(LOOK_S)


def _gathered(crew: Crew, receiver: Receiver) -> Evidence:
    """The evidence, once the warehouse has what Kafka has, or the patience for that ends."""
    deadline = time.monotonic() + CAUGHT_UP_S
    seen = witnesses.gather(crew.settings, receiver)
    while seen.rows != seen.records and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        seen = witnesses.gather(crew.settings, receiver)
    return seen


def _figures(planned: Plan, source: Upstream, seen: Evidence, blows: Sequence[Blow], found: Found) -> dict[str, Any]:
    charged = Counter((one.what, one.cause.kind if isinstance(one.cause, Blow) else one.cause) for one in found.charges)
    return {
        "seed": planned.seed,
        "events": len(seen.asked),
        "accepted_by_receiver": len(seen.taken),
        "stalled_after_the_dot": sum(one.outcome == "stall" for one in seen.taken),
        "dropped_after_the_dot": sum(one.outcome == "dropafter" for one in seen.taken),
        "intents": len(seen.intents),
        "pauses": source.pauses,
        "drains": source.drains,
        "blows": dict(Counter(blow.kind for blow in blows)),
        "open_connections": {
            kind: sum(len(found.open[blow.number]) for blow in blows if blow.kind == kind)
            for kind in dict.fromkeys(blow.kind for blow in blows)
        },
        "points": {
            point: {
                "kills": len(of_point),
                "open_connections": sum(len(found.open[blow.number]) for blow in of_point),
                "uncertain": sum(len(found.charged(blow, what="uncertain")) for blow in of_point),
                "duplicates": sum(len(found.charged(blow, what="duplicate")) for blow in of_point),
                "duplicates_of_its_send": sum(len(known.own(blow, found)) for blow in of_point),
            }
            for point in dict.fromkeys(blow.point for blow in blows if blow.point)
            if (of_point := [blow for blow in blows if blow.point == point])
        },
        "charged": {f"{what} by {by}": count for (what, by), count in sorted(charged.items())},
    }
