"""The demo from its first process to its last.

1. Plan, keys, simulator, fleet.
2. What upstream declares; wait until CONTROL and FEEDBACK have taken it in.
3. The recipients; wait until each has its final outcome, or the patience ends.
4. Let the warehouse catch up, gather the evidence, verify signatures.
5. Stop everything, see that it is gone, and judge.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from streams.operate.demo import checks, evidence, figures, plan, signatures, stage, upstream, watch
from streams.operate.demo.evidence import Evidence
from streams.operate.demo.figures import Pace
from streams.operate.demo.plan import Plan
from streams.operate.demo.screen import DemoScreen
from streams.operate.demo.stage import Receiver
from streams.operate.errors import FleetError
from streams.operate.proof import processes as processes_of_run
from streams.operate.proof import usage, warehouse
from streams.operate.proof.checks import Check
from streams.operate.up import Fleet
from streams.runtime.cluster import Publisher
from streams.runtime.settings import Settings
from streams.runtime.state.replication import FRESH_S

# Seconds: a busy machine of two cores has all roles ready in a third of it.
READY_S: Final = 120.0
DECLARED_S: Final = 60.0
# Seconds until the run is judged as it stands, with its mail not at an end: 60 and 10 for each thousand recipients.
PATIENCE_S: Final = 90.0
PATIENCE_PER_THOUSAND_S: Final = 10.0
CAUGHT_UP_S: Final = 20.0
GONE_S: Final = 5.0
# Seconds between two looks at the warehouse, and between two steps of what upstream sends.
LOOK_S: Final = 1.0
STEP_S: Final = 0.05


class Demonstrated(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    plan: Plan
    evidence: Evidence
    checks: tuple[Check, ...]
    pace: Pace
    figures: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(one.ok for one in self.checks)


def demonstrate(base: Settings, folder: Path, screen: DemoScreen, *, recipients: int, seed: int) -> Demonstrated:
    """Run it in this folder.  Raises FleetError, EmbeddedError or RuntimeFault, with nothing left running."""
    screen.phase("planning")
    planned = plan.make(recipients, seed=seed, at=datetime.now(UTC))
    screen.note(f"{recipients:,} people, {len(planned.events):,} events, seed {seed}")
    keys = stage.make_keys(folder)
    screen.phase("starting")
    with stage.simulator(folder, keys, recipients=recipients) as receiver:
        screen.note(f"receiver on port {receiver.smtp_port}, its DNS on {receiver.dns_port}")
        with Fleet(stage.settings(base, folder, receiver), say=screen.note) as fleet:
            fleet.wait_ready(READY_S)
            seen, verified, cpu_s = _deliver(fleet, receiver, planned, screen, recipients=recipients)
            restarts = sum(member.restarts for member in fleet.status())
            processes = psutil.Process().children(recursive=True)
            screen.phase("stopping")
    _, left = psutil.wait_procs(processes, timeout=GONE_S)
    screen.phase("judging")
    judged = [
        *checks.of_evidence(planned, seen),
        *checks.of_signatures(verified),
        *processes_of_run.checks(started=len(processes), left=len(left), restarts=restarts),
    ]
    pace = figures.pace(planned, seen, cpu_s=cpu_s)
    numbers = figures.as_json(planned, seen, pace, seed=seed, seconds=screen.seconds)
    return Demonstrated(plan=planned, evidence=seen, checks=tuple(judged), pace=pace, figures=numbers)


def _deliver(
    fleet: Fleet, receiver: Receiver, planned: Plan, screen: DemoScreen, *, recipients: int
) -> tuple[Evidence, signatures.Verified, dict[str, float]]:
    settings = fleet.settings
    screen.phase("declaring tenants, IPs, suppressions, campaigns")
    upstream.declare(settings, planned)
    _until(lambda: not upstream.missing(settings, planned), DECLARED_S, lambda: upstream.missing(settings, planned))
    # No gate decides by a view that has not confirmed its end for FRESH_S: after that each one knows all of it.  Else
    # the first recipients wait for their campaign's content and are dealt behind later ones, not as planned.
    time.sleep(FRESH_S)
    screen.phase("delivering")
    before = usage.by_role(fleet.pids)
    reached = _follow(settings, planned, screen, patience_s=PATIENCE_S + PATIENCE_PER_THOUSAND_S * recipients / 1000)
    if not reached:
        screen.note("not all mail came to its end in time; judging what there is")
    after = usage.by_role(fleet.pids)
    cpu_s = {role: used.since(before.get(role, usage.Used())).cpu_s for role, used in after.items()}
    screen.phase("gathering evidence")
    seen = evidence.gather(settings, receiver)
    deadline = time.monotonic() + CAUGHT_UP_S
    while seen.rows != seen.records and time.monotonic() < deadline:  # the warehouse writes a second behind
        time.sleep(LOOK_S / 2)
        seen = msgspec.structs.replace(seen, rows=warehouse.rows(settings))
    return seen, signatures.verify(receiver, settings.data_dir), cpu_s


def _follow(settings: Settings, planned: Plan, screen: DemoScreen, *, patience_s: float) -> bool:
    """Send the recipients, and watch until each event has its final outcome."""
    started = time.monotonic()
    look_at, ended = started, False
    with Publisher(settings) as publisher:
        orders = upstream.Orders(publisher, planned, started)
        while (now := time.monotonic()) - started < patience_s:
            orders.step(now)
            if now >= look_at:
                look_at = now + LOOK_S
                snapshot = watch.look(settings) or watch.Snapshot()
                screen.delivered(snapshot, asked=orders.asked, finals=planned.finals)
                if snapshot.finals >= planned.finals:
                    return True
                if not ended and orders.done and snapshot.finals >= planned.finals - planned.full:
                    ended = True
                    upstream.end_short(publisher, datetime.now(UTC))
                    screen.note(f"the short campaign ends: {planned.full:,} full mailboxes expire when they are due")
            time.sleep(STEP_S)
    return False


def _until(fact: Callable[[], bool], limit_s: float, lacking: Callable[[], list[str]]) -> None:
    deadline = time.monotonic() + limit_s
    while not fact():
        if time.monotonic() > deadline:
            raise FleetError(f"not taken in after {limit_s:.0f} s: {'; '.join(lacking())}")
        time.sleep(LOOK_S / 4)
