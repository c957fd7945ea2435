"""A role's app: set up so that what FAUST.md warns of can't happen.  The numbers are FAUST.md's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from faust.types.enums import ProcessingGuarantee

from streams.runtime.app import MAX_POLL_RECORDS, EvenpostApp, make_app
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.transport import consumer_thread
from streams.runtime.transport.producer import EvenpostProducer
from streams.runtime.transport.raw import RawSchema
from tests.runtime.stock.apps import message

ROOT = Path(__file__).parents[2]
# Stock Faust itself, for comparison: `evenpost bench runtime`.
STOCK_SIDE = "stock_faust.py"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[EvenpostApp]:
    """The gate's, of a broker that is never reached."""
    settings = Settings(data_dir=tmp_path / "a" / "b", kafka=KafkaSettings(bootstrap="127.0.0.1:1"))
    made = make_app("gate", settings, member="gate-0")
    yield made
    if made._consumer is not None:
        made.consumer._thread.thread_loop.close()


@cache
def product() -> list[tuple[Path, ast.AST]]:
    """Each node of each module of agents/ and streams/."""
    paths = [path for folder in ("agents", "streams") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [
        (path, node)
        for path in paths
        if path.name != STOCK_SIDE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call | ast.keyword | ast.Attribute)
    ]


def test_5_a_rebalance_waits_for_owners_and_not_for_acks(app: EvenpostApp) -> None:
    """Faust's wait spins until the session times out; our owners are told to stop, within a limit of theirs."""
    assert app.conf.stream_wait_empty is False


def test_6_and_10_no_role_has_a_table_of_fausts() -> None:
    """Ours take their partition from their owner, and prune on write."""
    calls = [
        (path.name, node.lineno)
        for path, node in product()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"Table", "GlobalTable", "SetTable", "SetGlobalTable"}
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "app"
    ]
    assert calls == []
    assert len({path for path, _ in product()}) > 100


def test_9_no_guarantee_rests_on_exactly_once(app: EvenpostApp) -> None:
    """No app of ours sets it, nor names it in code."""
    assert app.conf.processing_guarantee is ProcessingGuarantee.AT_LEAST_ONCE
    named = [
        path.name for path, node in product() if isinstance(node, ast.keyword) and node.arg == "processing_guarantee"
    ]
    assert named == []


def test_11_the_data_directory_is_made_with_its_parents(app: EvenpostApp) -> None:
    """And no store of Faust's is named by a URL that could be wrong."""
    assert app.conf.datadir.is_dir()
    assert str(app.conf.store) == "memory:"
    app._create_directories()


async def test_13_a_dead_workers_partitions_move_within_the_session_that_was_set(app: EvenpostApp) -> None:
    """12 s by default, and a heartbeat often enough that a lost one is no loss."""
    assert app.conf.broker_session_timeout == 12.0
    assert app.conf.broker_heartbeat_interval * 3 < app.conf.broker_session_timeout


def test_14_no_app_serves_the_web(app: EvenpostApp) -> None:
    """Roles are started by `worker.serve`; no code goes by Faust's own command, which would."""
    assert app.conf.web_enabled is False
    assert list(app.boot_strategy.web_server()) == []


def test_17_no_worker_of_fausts_captures_stdout() -> None:
    """Neither `faust.Worker` nor `app.main()` nor `app.worker` is in the product."""
    used = [
        (path.name, node.lineno)
        for path, node in product()
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if (node.value.id, node.attr) in {("faust", "Worker"), ("app", "main"), ("app", "Worker")}
    ]
    assert used == []


async def test_20_sends_go_to_librdkafka(app: EvenpostApp) -> None:
    """Its queue is a hundred thousand records long, not a hundred, and it lingers."""
    assert isinstance(app.producer, EvenpostProducer)
    assert app.producer.records._config["linger.ms"] > 0
    assert app.producer.records._config["queue.buffering.max.messages"] == 100_000
    app.producer.records.close(0)


async def test_21_a_poll_is_bounded_and_an_empty_fetch_short(app: EvenpostApp) -> None:
    """A rebalance throws no more away than one poll; a fetch that finds nothing answers in a quarter of a second."""
    made = app.consumer._thread._create_worker_consumer(app.transport)
    assert made._max_poll_records == MAX_POLL_RECORDS
    assert made._fetch_max_wait_ms == consumer_thread.FETCH_WAIT_MS == 250
    assert made._isolation_level == "read_committed"
    made._closed = True  # it was never opened


async def test_22_a_record_reaches_agents_as_its_bytes(app: EvenpostApp) -> None:
    """No codec is looked up; an empty value stays None (a tombstone), and bytes that are no text are no error."""
    source = app.source("recipients.marketing")
    assert isinstance(source.schema, RawSchema)
    record = message(0)
    record.value = b"\xff\x00"
    event = await source.decode(record)
    assert (event.key, event.value) == (b"k", b"\xff\x00")
    record.value = None
    assert (await source.decode(record)).value is None
