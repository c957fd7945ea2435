"""Asked for and timed.

1. All marketing is written at once, and its rate is taken at the sink once it flows.
2. Transactional mail is asked for at a share of that rate, evenly, for so many seconds.
3. The time of each is from just before its event is handed to Kafka to its delivery's own time, which the sender takes
   when it has the receiver's 250: one machine, one clock.
4. Marketing must still be waiting at the end, or nothing was shown.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from schemas.events import Delivery
from schemas.topics import DELIVERIES, RECIPIENTS_MARKETING, RECIPIENTS_TRANSACTIONAL
from streams.operate.bench.ahead import scene
from streams.operate.bench.sink import Sink
from streams.operate.chaos.watching import Watcher
from streams.runtime.cluster import Publisher, read_settled
from streams.runtime.settings import Settings

# Seconds over which the pipeline's rate is taken; before that so many messages went by, the first leases among them.
RATE_S: Final = 10.0
FLOWS: Final = 500
# Seconds without a message, or without an outcome more, until the run is judged as it stands.
STILL_S: Final = 60.0
LOOK_S: Final = 0.05
_OUTCOMES_S: Final = 2.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How many marketing mails wait, what share of their rate is asked for beside them, and for how many seconds."""

    backlog: int
    share: float
    seconds: float


class Worked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the pipeline's rate, the rate asked for, each mail's way in ms, and its end ("": none came).

    `waiting`: marketing mails that the sink had not seen when the last transactional one was asked for.
    """

    pipeline_per_s: float
    asked_per_s: float
    asked: int
    took_ms: tuple[float, ...]
    ends: dict[str, int]
    waiting: int

    @property
    def otherwise(self) -> int:
        """How many were not accepted."""
        return self.asked - self.ends.get("accepted", 0)


def work(settings: Settings, sink: Sink, watcher: Watcher, planned: Plan) -> Worked:
    """Do it."""
    watcher.phase("writing what waits")
    with Publisher(settings, client_id="evenpost-bench") as publisher:
        for one in scene.marketing(planned.backlog):
            publisher.send(RECIPIENTS_MARKETING, scene.key(one), one)
    watcher.phase("the pipeline's rate")
    per_s = _rate(sink, min(FLOWS, planned.backlog // 10))
    asked_per_s = max(1.0, per_s * planned.share)
    watcher.phase(f"transactional mail, {asked_per_s:.0f}/s beside {per_s:,.0f}/s")
    asked = _ask(settings, watcher, per_s=asked_per_s, seconds=planned.seconds)
    waiting = planned.backlog + len(asked) - sink.count()
    watcher.phase("their outcomes")
    ended = _outcomes(settings, asked)
    return Worked(
        pipeline_per_s=per_s,
        asked_per_s=asked_per_s,
        asked=len(asked),
        took_ms=tuple((ended[name][1] - at) * 1000 for name, at in asked.items() if name in ended),
        ends=dict(Counter(ended.get(name, ("", 0.0))[0] for name in asked)),
        waiting=waiting,
    )


def _rate(sink: Sink, first: int) -> float:
    """Messages a second at the sink, once it flows; 0 where none come."""
    _reach(sink.count, first)
    began, count = time.monotonic(), sink.count()
    while time.monotonic() - began < RATE_S:
        time.sleep(LOOK_S)
    return (sink.count() - count) / (time.monotonic() - began)


def _ask(settings: Settings, watcher: Watcher, *, per_s: float, seconds: float) -> dict[str, float]:
    """Ask evenly; when each was asked for, by its person."""
    asked: dict[str, float] = {}
    count, began = int(per_s * seconds), time.monotonic()
    with Publisher(settings, client_id="evenpost-bench") as publisher:
        for number in range(count):
            while (early := began + number / per_s - time.monotonic()) > 0:
                time.sleep(early)
            one = scene.transactional(number)
            asked[one.recipient_id] = time.time()
            publisher.send(RECIPIENTS_TRANSACTIONAL, scene.key(one), one)
            watcher.progress(number + 1, number + 1, count)
    return asked


def _outcomes(settings: Settings, asked: dict[str, float]) -> dict[str, tuple[str, float]]:
    """Each person's final outcome and its time, once all have one or no more come."""
    found: dict[str, tuple[str, float]] = {}
    decode = msgspec.json.Decoder(Delivery).decode

    def read() -> int:
        for record in read_settled(settings, DELIVERIES):
            one = decode(record.value or b"")
            if one.final and one.recipient_id in asked:
                end = one.type if one.type == "accepted" else f"{one.type} {one.class_}"
                found[one.recipient_id] = end, one.at.timestamp()
        return len(found)

    _reach(read, len(asked), look_s=_OUTCOMES_S)
    return found


def _reach(count: Callable[[], int], wanted: int, *, look_s: float = LOOK_S) -> None:
    """Until the count is there, or has stood still for too long."""
    reached, moved_at = -1, time.monotonic()
    while (now := count()) < wanted and time.monotonic() - moved_at < STILL_S:
        if now > reached:
            reached, moved_at = now, time.monotonic()
        time.sleep(look_s)
