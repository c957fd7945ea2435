"""What so many cores would deliver, and what is full first.  Pure: arithmetic on one run's costs.

Assumed: costs a message stay as measured.  Gates, senders, feedback and warehouses share Kafka's partitions, so cores
go to them as their costs ask.  CONTROL is active in one process, whose loop is one core.  A gate partition and a slot
are each one process's at a time, so they end at a core too.  Brokers and ClickHouse need cores of their own.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from streams.runtime.settings import KafkaSettings

CORES: Final = (10, 100, 1_000)
# What one partition or one process can't use more of.
_CORE_MS: Final = 1_000.0
# Seconds of a day.
_DAY_S: Final = 86_400


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """So many cores for our processes: messages a second, the brokers' cores beside them, and each bound met or not.

    `bounds`: by name, the messages a second at which it is full, the lowest first.
    """

    cores: int
    per_s: float
    broker_cores: float
    bounds: tuple[tuple[str, float], ...]

    @property
    def a_day(self) -> float:
        """Messages a day, as far as the first bound lets."""
        return min(self.per_s, self.bounds[0][1]) * _DAY_S

    @property
    def first(self) -> str:
        """What is full first: the cores, or a bound below what they would do."""
        name, per_s = self.bounds[0]
        return name if per_s < self.per_s else "the cores"


def outlook(
    cpu_ms: Mapping[str, float], *, broker: str, ours: frozenset[str], cores: int, kafka: KafkaSettings
) -> Outlook:
    """From CPU ms a message by role."""
    total_ms = sum(cpu_ms[role] for role in ours)
    per_s = cores * _CORE_MS / total_ms
    bounds = {
        "CONTROL, one active": _CORE_MS / cpu_ms["control"],
        f"{kafka.gate_partitions} gate partitions": kafka.gate_partitions * _CORE_MS / cpu_ms["gate"],
        f"{kafka.slots} slots": kafka.slots * _CORE_MS / cpu_ms["sender"],
    }
    return Outlook(
        cores=cores,
        per_s=per_s,
        broker_cores=per_s * cpu_ms[broker] / _CORE_MS,
        bounds=tuple(sorted(bounds.items(), key=lambda one: one[1])),
    )
