"""What stock Faust 0.15.3 does unless told otherwise (FAUST.md 12-17, 21, 22)."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import faust
import msgspec
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.assignor.client_assignment import CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from faust.cli.worker import worker

from tests.runtime.stock.apps import PLACE, stock_app


@contextmanager
def unconnected(app: faust.App) -> Iterator[Any]:
    """The consumer that a worker would start."""
    made = app.consumer._thread._create_worker_consumer(app.transport)
    try:
        yield made
    finally:
        made._closed = True  # it was never opened


def test_12_stock_deals_evenly_where_it_has_tables() -> None:
    """FAUST.md saw four partitions on three workers leave one without: 0.15.3 gives two, one and one."""
    members = {name: CopartitionedAssignment(topics={"t"}) for name in ("a", "b", "c")}
    plan = CopartitionedAssignor(topics={"t"}, cluster_asgn=members, num_partitions=4, replicas=0).get_assignment()
    assert sorted(len(mine.actives) for mine in plan.values()) == [1, 1, 2]


async def test_12_stock_tears_apart_what_belongs_together_without_tables() -> None:
    """Without tables and standbys it falls back to round robin: a slot's two lanes go to two workers."""
    with stock_app(table_standby_replicas=0) as app, unconnected(app) as made:
        [assignor] = made._partition_assignment_strategy
        assert assignor is RoundRobinPartitionAssignor
        cluster = SimpleNamespace(partitions_for_topic=lambda _: {0, 1, 2})
        members = {name: assignor.metadata({"marketing", "transactional"}) for name in ("a", "b")}
        plan = {name: dict(mine.assignment) for name, mine in assignor.assign(cluster, members).items()}
        assert all(set(mine["marketing"]).isdisjoint(mine["transactional"]) for mine in plan.values())


async def test_13_stock_keeps_a_dead_workers_partitions_for_a_minute() -> None:
    """The session's default."""
    with stock_app() as app:
        assert app.conf.broker_session_timeout == 60.0


def test_14_stock_worker_serves_the_web_whatever_the_app_says() -> None:
    """The command's own option overrides `web_enabled`, and its default is on."""
    web = next(iter(worker.options))
    assert "--with-web/--without-web" in web.args
    assert web.kwargs["default"] is True


async def test_15_stock_looks_on_when_a_worker_does_not_work() -> None:
    """What its livelock detector finds it tells the log: no exit, nothing that a supervisor could see."""
    with stock_app() as app:
        thread = app.consumer._thread
        thread.time_started = 0.0
        thread._log_slow_processing_stream("stalled %r %s", PLACE, "an hour ago")
        assert not app.should_stop
        assert thread.crash_reason is None


def test_16_stock_does_not_require_what_reads_lz4_snappy_and_zstd() -> None:
    """Neither it nor aiokafka: the first compressed batch would end the fetcher."""
    required = importlib.metadata.requires("faust-streaming") or []
    assert not [one for one in required if one.startswith("cramjam")]
    optional = [one for one in importlib.metadata.requires("aiokafka") or [] if one.startswith("cramjam")]
    assert all("extra" in one for one in optional)


async def test_17_stock_worker_turns_prints_into_warnings() -> None:
    """A report on stdout would be a log line."""
    with stock_app() as app:
        assert (app.conf.worker_redirect_stdouts, app.conf.worker_redirect_stdouts_level) == (True, "WARN")


async def test_21_stock_waits_a_second_and_a_half_and_takes_all() -> None:
    """The wait is fixed, and a poll is not bounded."""
    with stock_app() as app, unconnected(app) as made:
        assert app.conf.broker_max_poll_records is None
        assert made._fetch_max_wait_ms == 1500


class Recipient(faust.Record, serializer="json"):
    """As Faust models an event."""

    tenant: str
    recipient: str
    variables: dict[str, str]


class Struct(msgspec.Struct, frozen=True):
    """As ours do."""

    tenant: str
    recipient: str
    variables: dict[str, str]


def test_22_stock_models_cost_more_than_structs() -> None:
    """At least twice the time of msgspec, on the same bytes; the best of five rounds each."""
    body = msgspec.json.encode(Struct("acme", "u1", {"name": "x" * 50, "code": "y" * 50}))
    decode = msgspec.json.Decoder(Struct).decode
    assert _best(lambda: Recipient.loads(body)) > 2 * _best(lambda: decode(body))


def _best(work: Callable[[], object]) -> float:
    rounds = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(1_000):
            work()
        rounds.append(time.process_time() - begun)
    return min(rounds)
