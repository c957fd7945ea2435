"""How far the demo is, asked of the warehouse as an analyst would ask it."""

from collections import Counter
from typing import Final

import msgspec

from streams.runtime.cluster import sql_endpoint
from streams.runtime.errors import NoWarehouseError
from streams.runtime.settings import Settings
from streams.warehouse import query
from streams.warehouse.errors import WarehouseError

_STATEMENT: Final = "SELECT type, final, slot, attempt > 0 AS tried, count() FROM deliveries GROUP BY ALL"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Delivery events by now: all, the final ones, by type, and SMTP transactions by slot."""

    rows: int = 0
    finals: int = 0
    types: Counter[str] = msgspec.field(default_factory=Counter)
    slots: Counter[int] = msgspec.field(default_factory=Counter)

    @property
    def tried(self) -> int:
        """SMTP transactions by now."""
        return self.slots.total()


def look(settings: Settings) -> Snapshot | None:
    """The state of things; None while no warehouse answers."""
    try:
        table = query.run(sql_endpoint(settings), _STATEMENT, database=settings.clickhouse.database)
    except (NoWarehouseError, WarehouseError):
        return None
    rows = finals = 0
    types: Counter[str] = Counter()
    slots: Counter[int] = Counter()
    for type_, final, slot, tried, number in table.rows:
        count = int(number)  # JSON has 64-bit integers as text
        rows += count
        finals += count if final else 0
        types[type_] += count
        if tried and slot is not None:
            slots[slot] += count
    return Snapshot(rows=rows, finals=finals, types=types, slots=slots)
