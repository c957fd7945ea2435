"""Each event once in ClickHouse: repeated blocks, repeated events, and kills in the middle (G7)."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from streams.runtime.points import KILL_ENV
from streams.warehouse.rows import Record
from streams.warehouse.writer import MAX_BLOCK_ROWS, Block, Writer, plan_metadata, read_plan
from tests.warehouse.builders import START, answer, block, delivery, migrated, non_send

pytestmark = pytest.mark.integration

# Seconds between two looks at the engine's directory; an insert of the victim's blocks takes ten times that.
POLL_S = 0.002
DEADLINE_S = 60


def test_the_same_block_twice_is_there_once(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """The second insert changes nothing, whoever does it."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    same = block(delivery(source) for source in range(50))
    Writer(client, clickhouse_database).insert(same)
    Writer(migrated(clickhouse_dsn, clickhouse_database), clickhouse_database).insert(same)
    assert answer(client, "SELECT count() AS n FROM deliveries") == [{"n": 50}]


def test_other_blocks_are_other_blocks(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """Offsets, partition and topic id each tell blocks apart: none is dropped for another."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    writer = Writer(client, clickhouse_database)
    writer.insert(block([delivery(1)]))
    writer.insert(block([delivery(2)], start=1))
    writer.insert(block([delivery(3)], partition=1))
    writer.insert(block([delivery(4)], topic_id="T2"))
    assert answer(client, "SELECT count() AS n FROM deliveries") == [{"n": 4}]


def test_an_event_said_again_in_another_block_counts_once(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """A sender that repeats an event after a crash: two rows until merged, one fact in FINAL and in every view."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    writer = Writer(client, clickhouse_database)
    # In another month too: a repetition may have been stamped anew.
    again = delivery(1, at=START.replace(year=2027))
    writer.insert(block([delivery(1), delivery(2)]))
    writer.insert(block([delivery(1), again], start=2))
    assert answer(client, "SELECT count() AS n FROM deliveries FINAL") == [{"n": 2}]
    (funnel,) = answer(client, "SELECT events, accepted FROM campaign_funnel")
    assert funnel == {"events": 2, "accepted": 2}
    assert answer(client, "SELECT sum(dealt) AS n, sum(accepted) AS a FROM spread") == [{"n": 2, "a": 2}]
    assert answer(client, "SELECT finals, exact FROM conservation") == [{"finals": 2, "exact": True}]
    assert answer(client, "SELECT sum(events) AS n FROM reply_classes") == [{"n": 2}]


def test_bad_records_come_back_and_the_rest_is_there(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """A block with bad records inserts the good ones; a block of bad ones alone inserts none; neither raises."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    writer = Writer(client, clickhouse_database)
    odd = delivery(2, reply="NUL \0, 🍁, ' and \\", queued_at=START.replace(year=1), latency_ms=-5, tenant="x")
    refused = writer.insert(block([delivery(1), b"{", odd, b"[]"]))
    assert [one.offset for one in refused] == [1, 3]
    assert len(writer.insert(block([b"{}"], start=4))) == 1
    found = answer(client, "SELECT kafka_offset, reply, latency_ms FROM deliveries ORDER BY kafka_offset")
    assert found[1] == {"kafka_offset": 2, "reply": "NUL \0, 🍁, ' and \\", "latency_ms": -5}
    assert len(found) == 2


def test_a_block_too_large_for_one_token_is_refused(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """ClickHouse would cut it, and a token would cover parts of it only."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    value = msgspec.json.encode(delivery(1))
    records = [Record(offset, value) for offset in range(MAX_BLOCK_ROWS + 1)]
    huge = Block(topic="t", topic_id="T", partition=0, start=0, end=len(records), records=records)
    with pytest.raises(ValueError, match="at most 100000"):
        Writer(client, clickhouse_database).insert(huge)


def test_a_known_token_without_its_rows_is_made_good(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """Repeating the insert alone loses the rows for ever; recover puts back just what is missing, and once."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    writer = Writer(client, clickhouse_database)
    planned = block([*(delivery(source) for source in range(10)), b"{"])
    writer.insert(planned)
    # What a kill between the token's log and the part leaves behind: the token is known, rows are not there.
    client.command("ALTER TABLE deliveries DELETE WHERE kafka_offset < 4 SETTINGS mutations_sync = 2")
    writer.insert(planned)
    assert answer(client, "SELECT count() AS n FROM deliveries") == [{"n": 6}]
    for _ in range(2):
        assert [one.offset for one in writer.recover(planned)] == [10]
        assert answer(client, "SELECT count() AS n, uniqExact(kafka_offset) AS u FROM deliveries") == [
            {"n": 10, "u": 10}
        ]
    writer.insert(planned)  # the old owner wakes up late
    assert answer(client, "SELECT count() AS n FROM deliveries") == [{"n": 10}]


def parts(path: Path, pattern: str) -> int:
    """How many of the engine's part directories match; finished ones are named by month, others tmp_insert_…."""
    return sum(1 for _ in path.glob(f"store/*/*/{pattern}"))


@pytest.mark.parametrize("moment", ["tmp_insert_*", "20????_*"])
def test_a_kill_in_the_middle_of_an_insert(moment: str, tmp_path: Path) -> None:
    """Killed while parts are written, and between two parts of one block: the next owner leaves each row once."""
    command = [sys.executable, "-m", "tests.warehouse.victim", str(tmp_path / "engine")]
    victim = subprocess.Popen([*command, "insert"], stdout=subprocess.PIPE, text=True)
    try:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "inserting\n"
        until = time.monotonic() + DEADLINE_S
        while not parts(tmp_path / "engine", moment):
            assert time.monotonic() < until, "no part was ever written"
            time.sleep(POLL_S)
    finally:
        os.kill(victim.pid, signal.SIGKILL)
        rest = victim.communicate()[0]
    assert rest == "", "the kill came after the insert: it proves nothing"
    recovered(command)


def test_a_kill_at_the_labelled_point(tmp_path: Path) -> None:
    """A writer that is told to die in the middle of an insert does: by SIGKILL, with some rows or none in place."""
    command = [sys.executable, "-m", "tests.warehouse.victim", str(tmp_path / "engine")]
    told = {**os.environ, KILL_ENV: "mid-insert"}
    died = subprocess.run([*command, "insert"], capture_output=True, check=False, env=told, timeout=DEADLINE_S)
    assert died.returncode == -signal.SIGKILL
    assert b"inserting" in died.stdout and b"inserted" not in died.stdout
    recovered(command)


def recovered(command: list[str]) -> None:
    """What the next owner finds is less than the block, and what it leaves is the block, once."""
    done = subprocess.run([*command, "recover"], check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    rows, distinct, expected, before = map(int, done.stdout.split())
    assert before < expected
    assert rows == distinct == expected


def test_plan_metadata_round_trips() -> None:
    """What the owner commits is what the next one reads."""
    assert read_plan(plan_metadata(0, 1)) == (0, 1)
    assert read_plan(plan_metadata(2**62, 2**63 - 1)) == (2**62, 2**63 - 1)


@pytest.mark.parametrize("metadata", [None, "", "x", "plan:", "plan:5-5", "plan:6-5", "plan:-1-5", "plan:1-2 ", "1-2"])
def test_foreign_metadata_are_no_plan(metadata: str | None) -> None:
    """An operator's reset, or anything unreadable, leaves the position alone."""
    assert read_plan(metadata) is None


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5)])
def test_an_empty_plan_is_refused(start: int, end: int) -> None:
    """A block without offsets can't be planned."""
    with pytest.raises(ValueError, match=r"start < end"):
        plan_metadata(start, end)


def test_the_token_names_topic_partition_and_offsets() -> None:
    """Two blocks have one token only when they are the same block."""
    first = block([non_send(1, "capped")])
    assert first.token == "T1/0/0-1"
    assert len({first.token, block([delivery(1)], partition=1).token, block([delivery(1)], start=1).token}) == 3
