"""One measured process of the state bench: `python -m streams.operate.bench.state_probe TASK RESULT`.

It opens what a gate opens, in the way a gate does, writes what it measured to RESULT, and goes on as a gate would until
it is killed.  TASK is JSON (`Probe`); settings come by the environment.
"""

import asyncio
import random
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
import psutil

from agents.gate import VIEWS
from agents.views import replicate
from schemas import topics
from streams.gate.waiting import WaitingRoom
from streams.operate.bench import processes, state_records
from streams.runtime import logs, metrics
from streams.runtime.cluster import read_all
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.partition.table_recovery import TableRecovery
from streams.runtime.partition.taking_over import TakingOver
from streams.runtime.partition.transactions import FencedProducer, PartitionProducer
from streams.runtime.settings import Settings
from streams.runtime.state.local_state import state_path
from streams.runtime.state.tables import PartitionTable
from streams.views import World

MEMBER: Final = "gate-0"
SEED: Final = 7
# What a busy partition commits at once, and how many of the latest changes are compared with Kafka.
BATCH: Final = 200
LATEST: Final = 500
_RECOVERED: Final = "evenpost_recovered_records_total"

Owned = tuple[PartitionProducer, PartitionTable]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure: `count` entries or persons are there, `looks` of them are looked at."""

    what: Literal["view", "table"]
    count: int
    looks: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured: seconds from the process's start, bytes, microseconds, and answers that were wrong."""

    ready_s: float
    recovered_s: float
    records: int
    rss: int
    disk: int
    wrong: int
    lookups_us: list[float]


def main() -> None:
    """Measure, write the result, go on until killed."""
    probe = msgspec.json.decode(sys.argv[1], type=Probe)
    settings = Settings()
    logs.configure("INFO")
    result = Path(sys.argv[2])
    if probe.what == "view":
        _view(settings, probe, result)
    else:
        asyncio.run(_table(settings, probe, result))


def _age() -> float:
    return time.time() - psutil.Process().create_time()


def _rss() -> int:
    return int(psutil.Process().memory_info().rss)


# ── the suppression list ─────────────────────────────────────────────────────────────────────────────────────────────


def _view(settings: Settings, probe: Probe, result: Path) -> None:
    began = time.monotonic()
    world, replication = replicate(settings, MEMBER, VIEWS)
    ready, recovered = _age(), time.monotonic() - began
    times, wrong = _look(world, probe)
    found = Found(
        ready_s=ready,
        recovered_s=recovered,
        records=replication.records,
        rss=_rss(),
        disk=_disk(settings, "suppressions"),
        wrong=wrong + (world.offsets[topics.SUPPRESSIONS.name] != probe.count) + (not replication.fresh()),
        lookups_us=times,
    )
    processes.tell(result, found)
    while replication.fresh():
        time.sleep(1.0)


def _look(world: World, probe: Probe) -> tuple[list[float], int]:
    """Time lookups, half of them of addresses that are on no list, and count the wrong answers."""
    draw, now = random.Random(SEED), datetime.now(UTC)  # noqa: S311  # which addresses are looked up is no secret
    times, wrong = [], 0
    for _ in range(probe.looks):
        number = draw.randrange(2 * probe.count)
        address, tenant = state_records.address_id(number), state_records.tenant(number)
        began = time.perf_counter_ns()
        entries = list(world.suppressed(address, tenant=tenant, channel="mail", now=now))
        times.append((time.perf_counter_ns() - began) / 1_000)
        wrong += (len(entries) == 1) != (number < probe.count)
    return times, wrong


# ── the gate's tables ────────────────────────────────────────────────────────────────────────────────────────────────


async def _table(settings: Settings, probe: Probe, result: Path) -> None:
    partitions = settings.kafka.gate_partitions
    group = GroupOffsets(settings.kafka, f"{settings.kafka.prefix}gate")
    with ThreadPoolExecutor(partitions) as threads:
        began = time.monotonic()
        taken = await asyncio.gather(*(_take(settings, partition, group, threads) for partition in range(partitions)))
        ready, recovered = _age(), time.monotonic() - began
        rss = _rss()
        tables = [table for _, table in taken]
        found = Found(
            ready_s=ready,
            recovered_s=recovered,
            records=round(metrics.REGISTRY.get_sample_value(_RECOVERED, {"table": topics.GATE_STATE.name}) or 0),
            rss=rss,
            disk=sum(table.size() for table in tables),
            wrong=_compare(settings, tables, probe),
            lookups_us=[],
        )
        processes.tell(result, found)
        list(threads.map(lambda at: _go_on(settings, group, taken[at], at), range(partitions)))


async def _take(settings: Settings, partition: int, group: GroupOffsets, threads: Executor) -> Owned:
    """Fence, read the offsets, recover, and scan for what waits."""

    async def assigned() -> bool:
        return True

    table = TableRecovery(
        partition,
        kafka=settings.kafka,
        changelog=settings.topic(topics.GATE_STATE.name),
        path=state_path(settings, MEMBER, f"gate-{partition}"),
        go_on=lambda: True,
    )
    taking = TakingOver(
        partition,
        topics=(settings.topic(topics.RECIPIENTS_MARKETING.name),),
        group=group,
        executor=threads,
        make_producer=lambda: FencedProducer(settings.kafka, f"{settings.kafka.prefix}gate-{partition}"),
        recover=lambda _: table.recover(),
        is_owner=assigned,
        go_on=lambda: True,
    )
    taken = await taking.take()
    assert taken is not None  # noqa: S101  # it goes on until it has it
    assert isinstance(taken.recovered, PartitionTable)  # noqa: S101  # there is a changelog
    WaitingRoom(taken.recovered)  # a desk's first scan belongs to the recovery
    return taken.producer, taken.recovered


def _compare(settings: Settings, tables: list[PartitionTable], probe: Probe) -> int:
    """How many of persons drawn, and of the latest changes in Kafka, the tables have otherwise."""
    draw = random.Random(SEED)  # noqa: S311  # as above
    wrong = 0
    for _ in range(probe.looks):
        key, value = state_records.person(draw.randrange(probe.count))
        wrong += [table.get(key) for table in tables].count(value) != 1
    latest: dict[tuple[int, bytes], bytes | None] = {}
    for record in read_all(settings, topics.GATE_STATE, last=LATEST):
        latest[record.partition, record.raw_key or b""] = record.value
    return wrong + sum(tables[partition].get(key) != value for (partition, key), value in latest.items())


def _go_on(settings: Settings, group: GroupOffsets, owned: Owned, partition: int) -> None:
    """Commit batches, as a busy partition does, without end."""
    topic, (producer, table) = settings.topic(topics.GATE_STATE.name), owned
    number = 0
    while True:
        for _ in range(BATCH):
            key, value = state_records.person(number)
            table.put(key + b"/%d" % partition, value)
            number += 1
        records = [Record(topic=topic, key=key, value=value, partition=partition) for key, value in table.changes()]
        last = producer.commit(records, {}, group, changelog=topic)
        table.apply(None if last is None else last + 1)


def _disk(settings: Settings, name: str) -> int:
    folder = state_path(settings, MEMBER, name)
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


if __name__ == "__main__":
    main()
