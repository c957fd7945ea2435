"""The time of a run, from the first event that is written to the last final outcome in ClickHouse.

1. A mark: what every process used by now (`proof/usage.py`).
2. All events are written at once, as a campaign is.  From then on the sink's count is looked at.
3. When the sink has all mail, the warehouse is asked until it has every outcome: only then all work is done.
4. The second mark.  CPU a message is all of what came between, also of the first seconds, in which little credit is
   granted yet.  The rate is told twice: of all of it, and of the middle, where the pool runs at full speed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from schemas import ids
from schemas.topics import RECIPIENTS_MARKETING
from streams.operate.bench.mailing import Size
from streams.operate.bench.pipeline import scene
from streams.operate.bench.sink import Sink
from streams.operate.chaos.watching import Watcher
from streams.operate.proof import usage
from streams.operate.proof.usage import Used
from streams.operate.up import Fleet
from streams.runtime.cluster import Publisher, sql_endpoint
from streams.runtime.errors import NoWarehouseError
from streams.runtime.settings import Settings
from streams.warehouse import query
from streams.warehouse.errors import WarehouseError

LOOK_S: Final = 0.1
# Seconds without a message, or without an outcome more, until the run is judged as it stands.
STILL_S: Final = 60.0
# Of all messages this share goes by before the middle begins, and after it ends.
MARGIN: Final = 0.2
SINK: Final = "sink"
BROKER: Final = "kafka"

Track = Sequence[tuple[float, int]]  # seconds since the beginning, messages at the sink


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: recipient events, KB a message, whether it is signed; how many gates and senders share it."""

    events: int
    size: Size = 10
    signed: bool = True
    gates: int = 1
    senders: int = 1


class Worked(msgspec.Struct, frozen=True, kw_only=True):
    """What happened between the marks.

    `used` by role, the broker and the sink among them; `peak_mb` since each process began.  `ended`: everything came to
    its end.
    """

    messages: int
    seconds: float
    middle_per_s: float
    used: Mapping[str, Used]
    peak_mb: Mapping[str, float]
    ended: bool

    @property
    def per_s(self) -> float:
        """Messages a second, from the first event to the last outcome."""
        return self.messages / self.seconds

    @property
    def ours(self) -> dict[str, Used]:
        """The roles alone."""
        return {role: used for role, used in self.used.items() if role not in {BROKER, SINK}}

    def cpu_ms(self, role: str) -> float:
        """CPU a message of this role."""
        return self.used[role].cpu_s * 1000 / max(self.messages, 1)

    @property
    def per_cpu_second(self) -> float:
        """Messages for each second of CPU of all roles."""
        return self.messages / sum(one.cpu_s for one in self.ours.values())


def work(fleet: Fleet, sink: Sink, watcher: Watcher, planned: Plan) -> Worked:
    """Write the events, and wait for their ends."""
    settings, wanted = fleet.settings, scene.messages(planned.events)
    before, began = _used(fleet, sink), time.monotonic()
    _write(settings, planned.events)
    watcher.note(f"{planned.events:,} events in Kafka after {time.monotonic() - began:.1f} s")
    track: list[tuple[float, int]] = [(0.0, 0)]

    def at_the_sink() -> int:
        count = sink.count()
        track.append((time.monotonic() - began, count))
        watcher.progress(planned.events, count, planned.events)
        return count

    ended = _reach(at_the_sink, wanted) and _reach(lambda: _finals(settings), planned.events)
    seconds = time.monotonic() - began
    after = _used(fleet, sink)
    pids = fleet.pids | {SINK: sink.pid}
    return Worked(
        messages=track[-1][1],
        seconds=seconds,
        middle_per_s=middle_per_s(track),
        used={role: one.since(before.get(role, Used())) for role, one in after.items()},
        peak_mb={role: usage.peak_mb(pid for name, pid in pids.items() if usage.role(name) == role) for role in after},
        ended=ended,
    )


def middle_per_s(track: Track) -> float:
    """Messages a second from the first fifth to the last of those that came; 0 where none did."""
    count = track[-1][1]
    marks = [next(one for one in track if one[1] >= share * count) for share in (MARGIN, 1 - MARGIN)]
    (began, first), (ended, last) = marks
    return (last - first) / (ended - began) if ended > began else 0.0


def _write(settings: Settings, events: int) -> None:
    with Publisher(settings, client_id="evenpost-bench") as publisher:
        for one in scene.asked(events):
            key = ids.person_key(one.recipient.tenant, one.recipient.recipient_id)
            publisher.send(RECIPIENTS_MARKETING, key, one.recipient)


def _reach(count: Callable[[], int], wanted: int) -> bool:
    """Whether the count came to that, or stood still for too long."""
    reached, moved_at = -1, time.monotonic()
    while (now := count()) < wanted:
        if now > reached:
            reached, moved_at = now, time.monotonic()
        elif time.monotonic() - moved_at > STILL_S:
            return False
        time.sleep(LOOK_S)
    return True


def _finals(settings: Settings) -> int:
    statement = "SELECT countIf(final) FROM deliveries"
    try:
        table = query.run(sql_endpoint(settings), statement, database=settings.clickhouse.database)
    except (NoWarehouseError, WarehouseError):
        return 0
    return int(table.rows[0][0])


def _used(fleet: Fleet, sink: Sink) -> dict[str, Used]:
    return usage.by_role(fleet.pids | {SINK: sink.pid})
