"""WAREHOUSE: deliveries and incidents into ClickHouse, each once, and the SQL port of the embedded engine.

Per partition, the steps of `streams.warehouse.writer`: a block is planned (committed as the offset's metadata),
inserted under a token made of its coordinates, what is no event is buried, then the offset advances.  A new owner
that finds a plan inserts just that block first.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import OFFSET_BEGINNING, KafkaException, Message, TopicPartition

from schemas import topics
from streams.runtime.clickhouse import chdb_path, connect
from streams.runtime.dead_letters import MALFORMED, DeadLetter, bury
from streams.runtime.embedded.clickhouse import SqlServer
from streams.runtime.group import GroupReader
from streams.runtime.life import worker
from streams.runtime.life.beginning import waits_for
from streams.runtime.life.stopping import Stop
from streams.runtime.life.vigil import Vigil
from streams.runtime.life.vitals import Condition, Vitals, turns
from streams.runtime.metrics import BLOCK_FAILURES, BLOCKS, EVENTS, INSERT_SECONDS, ROWS
from streams.runtime.points import Points
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from streams.runtime.topic_admin import topic_ids
from streams.warehouse.migrations import migrate
from streams.warehouse.rows import SHEETS, Record, Refused
from streams.warehouse.writer import Block, Writer, plan_metadata, read_plan

log = structlog.get_logger(__name__)

READ: Final = tuple(topics.BY_NAME[name] for name in SHEETS)
READ_S: Final = 0.1
# A block goes in when it is this large or this old: ClickHouse likes few large inserts, analysts like fresh rows.
BLOCK_ROWS: Final = 20_000
BLOCK_AGE_S: Final = 1.0
RETRY_S: Final = 1.0
WRITE_TRIES_LOGGED: Final = 10
# A turn writes at most one block of each of 64 partitions; an insert of 20,000 rows takes 1-3 s here, so 3 minutes at
# the worst.  While ClickHouse or Kafka does not take a block, the clock stands.
PATIENCE_S: Final = 600.0


@dataclass(kw_only=True)
class Pending:
    """What was read of one partition and is not in ClickHouse yet."""

    start: int | None
    plan: tuple[int, int] | None
    records: list[Record] = field(default_factory=list)
    since: float = 0.0

    def add(self, record: Record) -> None:
        """Put the next record behind the others."""
        if not self.records:
            self.since = time.monotonic()
        self.records.append(record)

    def take(self, now: float) -> list[Record]:
        """The records of the next block, or none yet: the planned block when it is whole, else what is due."""
        if self.plan is not None:
            start, end = self.plan
            if not self.records or self.records[-1].offset < end - 1:
                return []
            block = [record for record in self.records if start <= record.offset < end]
            self.records = [record for record in self.records if record.offset >= end]
            return block
        if len(self.records) >= BLOCK_ROWS or (self.records and now - self.since >= BLOCK_AGE_S):
            block, self.records = self.records[:BLOCK_ROWS], self.records[BLOCK_ROWS:]
            return block
        return []


class Warehouse:
    """The role."""

    def __init__(self, settings: Settings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._dsn = settings.clickhouse.dsn or f"chdb://{(settings.data_dir / 'clickhouse').resolve()}"
        self._database = settings.clickhouse.database
        waits_for("clickhouse", lambda: "its schema is being applied")
        self._client = connect(self._dsn)
        applied = migrate(self._client, self._database)
        log.info("warehouse schema", applied=",".join(applied) or "none new")
        self._writer = Writer(self._client, self._database, points=Points.from_environment())
        self._producer = RecordProducer(settings.kafka, client_id=f"evenpost-{member}")
        self._pending: dict[tuple[str, int], Pending] = {}
        self._stop = Stop(settings.worker.sigterm)
        self._turns = 0
        self._away: str | None = None
        self._reader = GroupReader(
            settings,
            "warehouse",
            READ,
            client_id=f"evenpost-{member}",
            name=member,
            on_assign=self._assigned,
            on_revoke=self._revoked,
        )
        self._topic_ids = topic_ids(settings, [settings.topic(topic.name) for topic in READ])

    def _assigned(self, partitions: list[TopicPartition]) -> None:
        starts: list[TopicPartition] = []
        for tp in self._reader.committed(partitions):
            start = tp.offset if tp.offset >= 0 else None
            self._pending[(tp.topic, tp.partition)] = Pending(start=start, plan=read_plan(tp.metadata))
            starts.append(TopicPartition(tp.topic, tp.partition, OFFSET_BEGINNING if start is None else start))
        self._reader.assign_at(starts)

    def _revoked(self, partitions: list[TopicPartition]) -> None:
        for tp in partitions:
            self._pending.pop((tp.topic, tp.partition), None)

    async def main(self) -> int:
        """Serve until stopped; what was read is written first."""
        readiness = worker.Readiness(self._settings, role="warehouse", member=self._member)
        stop = self._stop.listen()
        server = self._sql_server()
        async with Vigil(self._settings, readiness, self._vitals()) as vigil:
            vigil.announce_when(lambda: True)
            while not stop.is_set():
                self._keep(await asyncio.to_thread(self._reader.read, READ_S))
                await self._write_due(time.monotonic())
                self._turns += 1
            vigil.ending(leaves=stop.how == "scale-in")
            log.info("stopping", how=stop.how)
            await self._write_due(float("inf"))
            await asyncio.to_thread(self._reader.close)
            if stop.how == "scale-in":
                await self._reader.leave()
        if server is not None:
            server.stop()
        self._producer.close()
        self._client.close()
        return 0

    def _vitals(self) -> Vitals:
        patience_s = self._settings.worker.stalled_s or PATIENCE_S
        return Vitals(
            conditions=lambda: (
                Condition(name="owned", ok=True, detail=f"{self._reader.owned} partitions"),
                Condition(name="clickhouse", ok=self._away is None, detail=self._away or "takes blocks"),
            ),
            progress=lambda: (*self._reader.progress(), turns("warehouse", self._turns, patience_s=patience_s)),
            held=lambda: self._away,
        )

    def _keep(self, messages: Iterable[Message]) -> None:
        for message in messages:
            pending = self._pending.get((str(message.topic()), int(message.partition() or 0)))
            if pending is not None:
                pending.add(Record(int(message.offset() or 0), message.value()))

    def _sql_server(self) -> SqlServer | None:
        path = chdb_path(self._dsn)
        if path is None:
            return None
        port = self._settings.clickhouse.sql_port or None
        try:
            server = SqlServer(path, data_dir=self._settings.data_dir, port=port)
            server.start()
        except OSError as error:
            server = SqlServer(path, data_dir=self._settings.data_dir)
            server.start()
            log.warning("sql port taken, another is used", port=port, error=str(error))
        log.info("sql", url=server.url)
        return server

    async def _write_due(self, now: float) -> None:
        for pending, block, planned in list(self._due(now)):
            await self._write(pending, block, planned=planned)

    def _due(self, now: float) -> Iterator[tuple[Pending, Block, bool]]:
        for (name, partition), pending in self._pending.items():
            records = pending.take(now)
            if records:
                start, end = pending.plan or (records[0].offset, records[-1].offset + 1)
                planned = pending.plan is not None
                topic = name.removeprefix(self._settings.kafka.prefix)
                block = Block(
                    topic=topic,
                    topic_id=self._topic_ids[name],
                    partition=partition,
                    start=start,
                    end=end,
                    records=records,
                    sheet=SHEETS[topic],
                )
                pending.plan = None
                yield pending, block, planned

    async def _write(self, pending: Pending, block: Block, *, planned: bool) -> None:
        """Write until it is written: ClickHouse or Kafka being away delays rows, it loses none.

        Between two tries the group is served: a member that was put out (a broker away for longer than a session)
        learns it by a poll alone, and would try in vain for ever.  Whoever has the partition then, this process
        included, reads the block again.

        A block that may have been inserted before (`planned` by a former owner, or tried) is recovered: its token
        may be known while its rows are not.  A stop ends the tries: the block, and all behind it, is the next owner's.
        """
        tries = 0
        while self._is_current(pending, block):
            try:
                with INSERT_SECONDS.time():
                    refused = await asyncio.to_thread(self._plan_and_insert, block, planned or tries > 0)
                    for record in refused:
                        await self._bury(block, record)
                    await asyncio.to_thread(self._advance, block)
            except (ClickHouseError, KafkaException, OSError) as error:
                tries += 1
                BLOCK_FAILURES.inc()
                self._away = f"a block is not written yet: {type(error).__name__}"
                if tries <= WRITE_TRIES_LOGGED:
                    log.warning(
                        "block not written yet", partition=block.partition, rows=len(block.records), error=str(error)
                    )
                if self._stop.is_set():
                    self._pending.pop((self._settings.topic(block.topic), block.partition), None)
                    return
                await asyncio.sleep(RETRY_S)
                self._keep(await asyncio.to_thread(self._reader.serve, READ_S))
            else:
                BLOCKS.inc()
                ROWS.inc(len(block.records) - len(refused))
                EVENTS.labels(block.topic).inc(len(block.records))
                self._away = None
                return
        self._away = None

    def _is_current(self, pending: Pending, block: Block) -> bool:
        """Whether the partition was ours without a break since the block was read."""
        return self._pending.get((self._settings.topic(block.topic), block.partition)) is pending

    def _plan_and_insert(self, block: Block, again: bool) -> tuple[Refused, ...]:
        topic = self._settings.topic(block.topic)
        planned = TopicPartition(topic, block.partition, block.start, metadata=plan_metadata(block.start, block.end))
        self._reader.commit_offsets([planned])
        return self._writer.recover(block) if again else self._writer.insert(block)

    def _advance(self, block: Block) -> None:
        topic = self._settings.topic(block.topic)
        self._reader.commit_offsets([TopicPartition(topic, block.partition, block.end, metadata="")])

    async def _bury(self, block: Block, record: Refused) -> None:
        letter = DeadLetter(
            role="warehouse",
            topic=block.topic,
            partition=block.partition,
            offset=record.offset,
            key=None,
            value=record.value,
            reason=MALFORMED,
            error=record.reason,
        )
        await bury(self._producer, self._settings, letter)


def run(settings: Settings, member: str) -> None:
    """Run a warehouse worker."""
    worker.run(lambda: Warehouse(settings, member).main())
