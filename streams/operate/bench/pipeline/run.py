"""The bench from its first process to its last.

1. What OpenSSL can sign; the sink, Kafka, every role as a process; what must be declared.
2. The work, timed (`work`), with py-spy looking on where that is asked for.
3. What came of it is read, everything ends, and once more what OpenSSL can sign: just before and just after.
"""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import psutil

from streams.operate.bench import mailing, sink
from streams.operate.bench.pipeline import audit, profile, signing, stage, unsigned
from streams.operate.bench.pipeline.profile import Tops
from streams.operate.bench.pipeline.work import BROKER, Plan, Worked, work
from streams.operate.chaos.watching import Watcher
from streams.operate.proof import processes
from streams.operate.proof.checks import Check
from streams.operate.proof.receiving import make_key
from streams.operate.up import ROLES, WORKER, Fleet

# Seconds: a busy machine of two cores has all roles ready in a third of it.
READY_S: Final = 120.0
GONE_S: Final = 5.0
# Of all messages so many are verified: dkimpy takes a millisecond each.
SAMPLES: Final = 200


class Benched(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured; `signs_per_s` is a core's, before and after."""

    planned: Plan
    octets: int
    sink: sink.Kind
    signs_per_s: tuple[float, float]
    worked: Worked
    waited: int
    checks: tuple[Check, ...]
    tops: dict[str, Tops]  # by member; empty where nobody looked


def bench(folder: Path, watcher: Watcher, planned: Plan, *, profiles: Path | None) -> Benched:
    """Run it in this folder, with profiles in that one.

    Raises UsageFault, FleetError, RuntimeFault or EmbeddedError, with nothing left running.
    """
    if profiles is not None:
        profile.program()
    make_key(folder / mailing.KEY_FILE)
    keep_every = max(1, planned.events // SAMPLES)
    with sink.receiving(folder, keep_every=keep_every) as receiver:
        settings = stage.settings(folder, sink_port=receiver.port)
        watcher.phase("what OpenSSL can sign, before")
        before = signing.per_core_second(settings, "before")
        watcher.phase("starting")
        program = WORKER if planned.signed else unsigned.PROGRAM
        roles = dict.fromkeys(ROLES, 1) | {"gate": planned.gates, "sender": planned.senders}
        with Fleet(settings, roles=roles, say=watcher.note, program=program) as fleet:
            fleet.wait_ready(READY_S)
            watcher.phase("declaring tenant, IPs, suppressions, campaign")
            stage.declare(fleet.settings, events=planned.events, size=planned.size)
            watcher.phase("delivering")
            with _looked_into(fleet, profiles):
                worked = work(fleet, receiver, watcher, planned)
            watcher.phase("gathering evidence")
            evidence = audit.gather(fleet.settings, receiver.received(), counted=receiver.count())
            judged = audit.checks(fleet.settings, evidence, planned)
            restarts = sum(member.restarts for member in fleet.status())
            started = psutil.Process().children(recursive=True)
            watcher.phase("stopping")
        watcher.phase("what OpenSSL can sign, after")
        after = signing.per_core_second(settings, "after")
    _, left = psutil.wait_procs(started, timeout=GONE_S)
    return Benched(
        planned=planned,
        octets=mailing.octets(folder, datetime.now(UTC), planned.size),
        sink=sink.kind(),
        signs_per_s=(before, after),
        worked=worked,
        waited=evidence.waited,
        checks=(*judged, *processes.checks(started=len(started), left=len(left), restarts=restarts)),
        tops={} if profiles is None else profile.read(profiles),
    )


def _looked_into(fleet: Fleet, profiles: Path | None) -> contextlib.AbstractContextManager[None]:
    if profiles is None:
        return contextlib.nullcontext()
    return profile.looking({member: pid for member, pid in fleet.pids.items() if member != BROKER}, profiles)
