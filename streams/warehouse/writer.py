"""Blocks of deliveries and incidents into ClickHouse, each once (DESIGN.md, G7 and choice 13).

What the loop around it does, for each partition:

1. Plan: cut the block [start, end) and commit offset `start` with `plan_metadata(start, end)`.
2. `insert` it: the token is made of (topic id, partition, start, end), so that a writer that wakes up late and repeats
   it, within the table's deduplication window, changes nothing.
3. Advance: commit `end` without metadata.

A new owner that finds a plan (`read_plan`), and an owner whose insert failed, `recover` just that block first.
Repeating the token alone would not do: ClickHouse writes a token to its log before the part is in place, so a kill
between the two leaves a known token without rows, and the repetition is dropped (FAUST.md 31; a test shows it).  So
`recover` repeats the insert, looks which offsets are there, and inserts what is missing without a token.

The topic's id, not its name, is in the token: a topic deleted and made again starts at 0.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client

from streams.runtime.points import Points
from streams.warehouse.rows import DELIVERIES, Columns, Record, Refused, Sheet, rows

# ClickHouse cuts inserts above 1,048,449 rows, and a token must cover one block whole.
MAX_BLOCK_ROWS: Final = 100_000

_SETTINGS: Final[dict[str, int | str]] = {
    # A server's own async inserts would answer before the rows are there.
    "async_insert": 0,
    # A backlog of many months in one block is rare and right; refusing it would stop the partition.
    "max_partitions_per_insert_block": 0,
}
_PLAN: Final = re.compile(r"plan:(\d{1,19})-(\d{1,19})")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """The records of one partition at offsets in [start, end), for one table; transaction markers leave gaps."""

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    records: Sequence[Record]
    sheet: Sheet = DELIVERIES

    @property
    def token(self) -> str:
        """The insert's deduplication token."""
        return f"{self.topic_id}/{self.partition}/{self.start}-{self.end}"


class Writer:
    """Inserts blocks through one client; call it from one thread at a time, off the event loop."""

    def __init__(self, client: Client, database: str, *, points: Points | None = None) -> None:
        self._client = client
        self._database = database
        self._points = points

    def insert(self, block: Block) -> tuple[Refused, ...]:
        """Insert a block for the first time; return the records that are no events of its topic, for dead-letters.

        Raises clickhouse-connect's errors; whether the rows are there is then unknown: `recover` the block.
        """
        if len(block.records) > MAX_BLOCK_ROWS:
            raise ValueError(f"a block has at most {MAX_BLOCK_ROWS} records, {block.token} has {len(block.records)}")
        columns, refused = rows(block.records, topic=block.topic, partition=block.partition, sheet=block.sheet)
        self._put(block.sheet, columns, {"insert_deduplicate": 1, "insert_deduplication_token": block.token})
        return refused

    def recover(self, block: Block) -> tuple[Refused, ...]:
        """Insert a block of which nobody knows how far its insert came; safe to repeat, also after a kill in here."""
        refused = self.insert(block)
        there = self._offsets(block)
        missing = [record for record in block.records if record.offset not in there]
        columns, _ = rows(missing, topic=block.topic, partition=block.partition, sheet=block.sheet)
        self._put(block.sheet, columns, {"insert_deduplicate": 0})
        return refused

    def _put(self, sheet: Sheet, columns: Columns, settings: dict[str, int | str]) -> None:
        if not columns[-1]:
            return
        if self._points is None:
            self._send(sheet, columns, settings)
        else:
            self._points.amid("mid-insert", lambda: self._send(sheet, columns, settings))

    def _send(self, sheet: Sheet, columns: Columns, settings: dict[str, int | str]) -> None:
        self._client.insert(
            sheet.table,
            columns,
            column_names=sheet.columns,
            database=self._database,
            column_oriented=True,
            settings=_SETTINGS | settings,
        )

    def _offsets(self, block: Block) -> set[int]:
        """The block's offsets that the table has."""
        found = self._client.query(
            f"SELECT kafka_offset FROM {self._database}.{block.sheet.table} "  # noqa: S608 - a name that `migrate` has checked
            "WHERE kafka_topic = {topic:String} AND kafka_partition = {partition:UInt32} "
            "AND kafka_offset >= {start:Int64} AND kafka_offset < {end:Int64}",
            parameters={"topic": block.topic, "partition": block.partition, "start": block.start, "end": block.end},
        )
        return {row[0] for row in found.result_rows}


def plan_metadata(start: int, end: int) -> str:
    """The planned block as the metadata of a committed offset (Kafka allows 4 KB)."""
    if not 0 <= start < end:
        raise ValueError(f"a planned block is [start, end) with 0 <= start < end, not [{start}, {end})")
    return f"plan:{start}-{end}"


def read_plan(metadata: str | None) -> tuple[int, int] | None:
    """The planned block in a committed offset's metadata; None where there is none.

    Foreign metadata (an operator's offset reset writes its own) are no plan: the position is then the whole truth.
    """
    found = _PLAN.fullmatch(metadata or "")
    if found is None:
        return None
    start, end = int(found[1]), int(found[2])
    return (start, end) if start < end else None
