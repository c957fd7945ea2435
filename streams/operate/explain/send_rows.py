"""What ClickHouse holds of one send: its delivery events, each once."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from schemas.events import Delivery
from streams.runtime.cluster import sql_endpoint
from streams.runtime.settings import Settings
from streams.warehouse import query

# In the order of the struct; `rules` comes as a tuple of values.
_COLUMNS: Final = tuple(field.encode_name for field in msgspec.structs.fields(Delivery))
_RULE: Final = ("rule", "value", "limit", "next_eligible")
_TIMES: Final = ("at", "queued_at")


def deliveries(settings: Settings, send_id: str) -> list[Delivery]:
    """By time.  `send_id` is hexadecimal.  Raises WarehouseError."""
    columns = ", ".join(f"`{name}`" for name in _COLUMNS)
    statement = f"SELECT {columns} FROM deliveries FINAL WHERE send_id = '{send_id}' ORDER BY at"  # noqa: S608  # hex
    table = query.run(sql_endpoint(settings), statement, database=settings.clickhouse.database)
    return [_delivery(dict(zip(_COLUMNS, row, strict=True))) for row in table.rows]


def _delivery(row: dict[str, Any]) -> Delivery:
    for name in _TIMES:
        row[name] = _time(row[name])
    row["rules"] = [
        dict(zip(_RULE, (*values[:3], _time(values[3])), strict=True))
        for values in (rule if isinstance(rule, list) else [rule[name] for name in _RULE] for rule in row["rules"])
    ]
    for name in ("latency_ms", "source_offset"):  # JSON has no 64 bits: ClickHouse quotes them
        row[name] = None if row[name] is None else int(row[name])
    return msgspec.convert(row, Delivery, strict=False)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
