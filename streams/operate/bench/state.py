"""`evenpost bench state`: how long a worker with much state takes to be ready, how large it is, and how quick.

1. Fill the list and the gate's changelog with millions of entries and persons, on a Kafka of the bench's own.
2. A process opens the list as a gate does, from nothing; it is killed; the next one goes on from its disk.  Of that
   one: time until ready, memory, and the time of lookups, half of them of addresses that are on no list.
3. A process takes all gate partitions over, from nothing; it commits batches until it is killed; the next one takes
   them over with what the disk has.

Each answer is compared with the filling, and the latest changes with what Kafka holds.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from schemas import topics
from streams.operate.bench import stage, state_records
from streams.operate.bench.processes import Process, outcome, started
from streams.operate.bench.state_probe import Found, Probe
from streams.operate.bench.workloads import percentile
from streams.operate.proof.checks import Check, at_most
from streams.runtime.bulk_writing import write
from streams.runtime.settings import Settings
from streams.runtime.topic_admin import apply_topics

GATE_PARTITIONS: Final = 12
LOOKUPS: Final = 200_000
PERSONS_COMPARED: Final = 10_000
# With ten millions of each: mail stands still no longer than at a broker's restart, a worker fits a container of 1 GB,
# and a lookup is little beside the 200 us that a decision takes.
READY_LIMIT_S: Final = 30.0
RECOVERY_LIMIT_S: Final = 60.0
RSS_LIMIT: Final = 1_000_000_000
LOOKUP_LIMIT_US: Final = 50.0
# A process begins within this, and takes in so many records a second on a machine that has other work.
START_S: Final = 90.0
SLOWEST_PER_S: Final = 8_000
# How long the gate's process commits batches before it is killed.
COMMITS_S: Final = 3.0
_MB: Final = 1e6

STEPS: Final = ("fill the list", "fill the table", "list, first", "list, again", "table, first", "table, again")
Said = Callable[[str], None]


class ProbeFailedError(RuntimeError):
    """A measured process ended, or took too long."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    checks: list[Check]
    figures: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether all checks hold."""
        return all(one.ok for one in self.checks)


def run(base: Settings, folder: Path, progress: Said, *, persons: int, suppressions: int) -> Result:
    """Fill, measure, judge; `progress` is told each step of STEPS as it begins.

    Raises ProbeFailedError, with the end of the process's log.
    """
    with stage.broker(base, folder) as alone:
        kafka = alone.kafka.model_copy(update={"gate_partitions": GATE_PARTITIONS, "slots": 2})
        settings = alone.model_copy(update={"kafka": kafka})
        apply_topics(settings)
        filled = [
            _filled(settings, progress, 0, suppressions),
            _filled(settings, progress, 1, persons),
        ]
        view = Probe(what="view", count=suppressions, looks=min(LOOKUPS, 2 * suppressions))
        table = Probe(what="table", count=persons, looks=min(PERSONS_COMPARED, persons))
        found = [
            _measured(settings, probe, number, progress)
            for number, probe in enumerate((view, view, table, table), start=2)
        ]
    return _judge(found, filled, persons=persons, suppressions=suppressions)


def _filled(settings: Settings, progress: Said, step: Literal[0, 1], count: int) -> float:
    """Fill one of the topics; seconds that it took."""
    progress(STEPS[step])
    topic = (topics.SUPPRESSIONS, topics.GATE_STATE)[step]
    make = (state_records.suppression, state_records.person)[step]
    partitions = topic.partitions(gate=settings.kafka.gate_partitions, slots=settings.kafka.slots)
    began = time.monotonic()
    write(settings, settings.topic(topic.name), map(make, range(count)), partitions=partitions)
    return time.monotonic() - began


def _measured(settings: Settings, probe: Probe, step: int, progress: Said) -> Found:
    """Run a process until it has measured, let it go on a little, and kill it."""
    progress(STEPS[step])
    process = Process(
        module="streams.operate.bench.state_probe",
        name=f"{probe.what}-{step}",
        task=probe,
        found=Found,
        limit_s=START_S + probe.count / SLOWEST_PER_S,
    )
    with started(settings, process) as child:
        found = outcome(settings, process, child)
        if isinstance(found, str):
            raise ProbeFailedError(f"{STEPS[step]}: {found}")
        if probe.what == "table":
            time.sleep(COMMITS_S)
    return found


def _judge(found: list[Found], filled: list[float], *, persons: int, suppressions: int) -> Result:
    view_first, view, table_first, table = found
    p50, p99 = (round(percentile(view.lookups_us, share), 1) for share in (0.5, 0.99))
    wrong = [one.wrong for one in found]
    judged = [
        at_most("list: ready after a kill, s", round(view.ready_s, 1), READY_LIMIT_S, "from the process's start"),
        at_most("list: memory, MB", round(view.rss / _MB), RSS_LIMIT / _MB, "resident, after the lookups"),
        at_most("list: lookup p99, us", p99, LOOKUP_LIMIT_US, f"{len(view.lookups_us):,} lookups, half in vain"),
        at_most("list: wrong answers", sum(wrong[:2]), 0, f"of {suppressions:,} entries, against the filling"),
        at_most("table: recovered after a kill, s", round(table.recovered_s, 1), RECOVERY_LIMIT_S, "12 partitions"),
        at_most("table: wrong answers", sum(wrong[2:]), 0, f"of {persons:,} persons, and against Kafka's latest"),
    ]
    figures = {
        "suppressions": suppressions,
        "persons": persons,
        "list_filled_s": round(filled[0], 1),
        "list_first_ready_s": round(view_first.ready_s, 1),
        "list_ready_s": round(view.ready_s, 1),
        "list_records_read_again": view.records,
        "list_rss_mb": round(view.rss / _MB),
        "list_first_rss_mb": round(view_first.rss / _MB),
        "list_disk_mb": round(view.disk / _MB),
        "lookup_p50_us": p50,
        "lookup_p99_us": p99,
        "table_filled_s": round(filled[1], 1),
        "table_recovered_without_disk_s": round(table_first.recovered_s, 1),
        "table_recovered_s": round(table.recovered_s, 1),
        "table_ready_s": round(table.ready_s, 1),
        "table_records_read_again": table.records,
        "table_rss_without_disk_mb": round(table_first.rss / _MB),
        "table_rss_mb": round(table.rss / _MB),
        "table_disk_mb": round(table.disk / _MB),
    }
    return Result(checks=judged, figures=figures)
