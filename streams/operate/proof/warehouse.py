"""Whether ClickHouse has what Kafka has: two logs that agree in number and sum of offsets hold the same records."""

from collections.abc import Iterable, Mapping

from streams.operate.proof.checks import Check, at_most
from streams.runtime.cluster import sql_endpoint
from streams.runtime.settings import Settings
from streams.warehouse import query

# kafka_partition -> (records, sum of offsets)
Sums = Mapping[int, tuple[int, int]]


def rows(settings: Settings) -> Sums:
    """ClickHouse's delivery events by the Kafka partition that they came from, each row as it stands."""
    statement = "SELECT kafka_partition, count(), sum(kafka_offset) FROM deliveries GROUP BY kafka_partition"
    table = query.run(sql_endpoint(settings), statement, database=settings.clickhouse.database)
    return {int(partition): (int(count), int(offsets)) for partition, count, offsets in table.rows}


def records(places: Iterable[tuple[int, int]]) -> Sums:
    """The same of records as read, (partition, offset) each."""
    found: dict[int, tuple[int, int]] = {}
    for partition, offset in places:
        count, offsets = found.get(partition, (0, 0))
        found[partition] = count + 1, offsets + offset
    return found


def same(in_kafka: Sums, in_clickhouse: Sums) -> Check:
    """The check: how many partitions differ."""
    partitions = in_kafka.keys() | in_clickhouse.keys()
    wrong = sum(in_kafka.get(partition) != in_clickhouse.get(partition) for partition in partitions)
    there = sum(count for count, _ in in_kafka.values())
    here = sum(count for count, _ in in_clickhouse.values())
    return at_most("ClickHouse = Kafka", wrong, 0, f"{there:,} delivery events, {here:,} rows")
