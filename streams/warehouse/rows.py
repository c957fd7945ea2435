"""From the bytes of a topic to the columns of its ClickHouse table, without a row object in between.

1. A `Sheet` says which struct a table's rows are; each value is decoded once, by msgspec: a `Row` is a Delivery whose
   numbers fit the table's columns.
2. What doesn't decode is set apart with its reason, for dead-letters; the rest of the block goes on (G8).
3. The rows are turned into columns in one pass, in the order of the sheet's columns, Kafka's coordinates last.

The same records always give the same columns: a block that is inserted again must have the same rows (FAUST.md 31).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from schemas import topics
from schemas.events import Delivery, Incident

# One value that a column can't hold would fail its whole block again and again, so the decoder refuses it.
UInt16 = Annotated[int, Meta(ge=0, le=2**16 - 1)]
UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

# DateTime64(3) is exact and partitions are sane between these; what lies outside is a broken clock.
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2200


class Row(Delivery, frozen=True, kw_only=True):
    """A delivery that fits the table.

    Patterns of ids are left to those who wrote it: they hold here already and cost a third of the decoding.
    """

    event_id: Annotated[str, Meta(min_length=32, max_length=32)]
    tenant: str
    campaign_id: str
    recipient_id: str
    slot: UInt16 | None
    deal: UInt32
    attempt: UInt32
    smtp_code: UInt16 | None
    latency_ms: Int64 | None
    source_partition: UInt32
    source_offset: Int64

    def __post_init__(self) -> None:
        """Refuse a time that no delivery has."""
        _check_year(self.at)


class IncidentRow(Incident, frozen=True, kw_only=True):
    """An incident that fits the table."""

    def __post_init__(self) -> None:
        """Refuse a time that no incident has."""
        _check_year(self.at)


def _check_year(at: datetime) -> None:
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"at: {at.isoformat()} is not between {FIRST_YEAR} and {LAST_YEAR}")


class Record(msgspec.Struct, frozen=True):
    """One record of a topic."""

    offset: int
    value: bytes | None


class Refused(msgspec.Struct, frozen=True):
    """A record that is no event of its topic, and why."""

    offset: int
    value: bytes | None
    reason: str


Columns = list[Sequence[Any]]

_COORDINATES: Final = ("kafka_topic", "kafka_partition", "kafka_offset")


@dataclass(frozen=True)
class Sheet:
    """A table and the struct of its rows; `shape` turns a field's values into what its column takes."""

    table: str
    row: type[msgspec.Struct]
    shape: Mapping[str, Callable[[Sequence[Any]], Sequence[Any]]] = field(default_factory=dict)
    decode: Callable[[bytes], Any] = field(init=False)
    fields: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Make the decoder once."""
        object.__setattr__(self, "decode", msgspec.json.Decoder(self.row).decode)
        object.__setattr__(self, "fields", tuple(one.encode_name for one in msgspec.structs.fields(self.row)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order."""
        return (*self.fields, *_COORDINATES)


def _tuples(column: Sequence[Any]) -> Sequence[Any]:
    return [
        [(rule.rule, rule.value, rule.limit, rule.next_eligible) for rule in rules] if rules else () for rules in column
    ]


DELIVERIES: Final = Sheet("deliveries", Row, {"rules": _tuples})
INCIDENTS: Final = Sheet("incidents", IncidentRow)
# What the warehouse reads, by the topic's declared name.
SHEETS: Final = {topics.DELIVERIES.name: DELIVERIES, topics.INCIDENTS.name: INCIDENTS}
COLUMNS: Final = DELIVERIES.columns


def rows(
    records: Sequence[Record], *, topic: str, partition: int, sheet: Sheet = DELIVERIES
) -> tuple[Columns, tuple[Refused, ...]]:
    """The columns of what decodes, in the sheet's and the records' order, and what doesn't."""
    good: list[msgspec.Struct] = []
    offsets: list[int] = []
    refused: list[Refused] = []
    decode = sheet.decode
    for record in records:
        try:
            good.append(decode(record.value or b""))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            refused.append(Refused(record.offset, record.value, str(error)))
        else:
            offsets.append(record.offset)
    columns: Columns = list(zip(*map(msgspec.structs.astuple, good), strict=True)) or [()] * len(sheet.fields)
    for name, shape in sheet.shape.items():
        at = sheet.fields.index(name)
        columns[at] = shape(columns[at])
    return [*columns, [topic] * len(good), [partition] * len(good), offsets], tuple(refused)
