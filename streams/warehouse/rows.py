"""From the bytes of deliveries to the columns of ClickHouse's table, without a row object in between.

1. Each value is decoded once, by msgspec, as a `Row`: a Delivery whose numbers fit the table's columns.
2. What doesn't decode is set apart with its reason, for dead-letters; the rest of the block goes on (G8).
3. The rows are turned into columns in one pass, in the order of `COLUMNS`, Kafka's coordinates last.

The same records always give the same columns: a block that is inserted again must have the same rows (FAUST.md 31).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from schemas.events import Delivery

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
        if not FIRST_YEAR <= self.at.year <= LAST_YEAR:
            raise ValueError(f"at: {self.at.isoformat()} is not between {FIRST_YEAR} and {LAST_YEAR}")


class Record(msgspec.Struct, frozen=True):
    """One record of the deliveries topic."""

    offset: int
    value: bytes | None


class Refused(msgspec.Struct, frozen=True):
    """A record that is no delivery, and why."""

    offset: int
    value: bytes | None
    reason: str


Columns = list[Sequence[Any]]

FIELDS: Final = msgspec.structs.fields(Delivery)
COLUMNS: Final = (*(field.encode_name for field in FIELDS), "kafka_topic", "kafka_partition", "kafka_offset")
_RULES: Final = COLUMNS.index("rules")
_decode: Final = msgspec.json.Decoder(Row).decode


def rows(records: Sequence[Record], *, topic: str, partition: int) -> tuple[Columns, tuple[Refused, ...]]:
    """The columns of what decodes, in `COLUMNS`' order and the records' order, and what doesn't."""
    good: list[Row] = []
    offsets: list[int] = []
    refused: list[Refused] = []
    for record in records:
        try:
            good.append(_decode(record.value or b""))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            refused.append(Refused(record.offset, record.value, str(error)))
        else:
            offsets.append(record.offset)
    columns: Columns = list(zip(*map(msgspec.structs.astuple, good), strict=True)) or [()] * len(FIELDS)
    columns[_RULES] = [
        [(rule.rule, rule.value, rule.limit, rule.next_eligible) for rule in rules] if rules else ()
        for rules in columns[_RULES]
    ]
    return [*columns, [topic] * len(good), [partition] * len(good), offsets], tuple(refused)
