"""The days pass, minute by minute, on a virtual clock.

1. CONTROL's ledger says what is due; the world takes it, as from the topic.
2. Each mail of the minute goes to a gate partition, which deals it by its own dealers and quotas.  Now and then a
   partition is taken over: its successor has the tables, and nothing else.
3. The receiver takes it or defers it; what is deferred comes back within minutes, to its own IP if that may still have
   it.
4. Each hour's volumes are told a few minutes after its end; the ledger judges the day by them.

What was dealt is counted here, hour by hour, for the audit: by nothing that decided it.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

import msgspec

from schemas import ids, topics
from schemas.events import Volume, WarmupDay
from streams.control.history import History
from streams.control.loading import load
from streams.gate.slots import Slots
from streams.operate.bench.warmup.plan import NEW, PARTITIONS, POOL, RETRY_MIN, SHARES, WARM, Plan, day_number
from streams.spread.warmup import warmup_terms
from streams.spread.warmup_ledger import WarmupLedger
from streams.views import World

_HOUR: Final = timedelta(hours=1)
# Hours between two take-overs of a gate partition, one after the other.
TAKEN_OVER_H: Final = 7
# Minutes after an hour's end at which its volumes are told.
_TOLD_MIN: Final = 3
# CONTROL looks each second; between two of these nothing becomes due here.
_LOOK_MIN: Final = 5


class Tables:
    """A gate partition's tables, in memory."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self.get = self._rows.get
        self.put = self._rows.__setitem__

    def delete(self, key: bytes) -> None:
        """Remove a row."""
        self._rows.pop(key, None)

    def scan(self, prefix: bytes, *, limit: int, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The first rows behind `after` that begin with `prefix`."""
        keys = sorted(key for key in self._rows if key.startswith(prefix) and key > after)
        return ((key, self._rows[key]) for key in keys[:limit])


@dataclass(kw_only=True)
class Passed:
    """What the days brought.

    `dealt`: mails, first deals and retries, by slot, provider, day and hour.  `waited`: mails that found no slot.
    """

    plan: Plan
    asked: int = 0
    waited: int = 0
    retries: int = 0
    dealt: Counter[tuple[int, str, int, int]] = field(default_factory=Counter)
    said: list[WarmupDay] = field(default_factory=list)
    taken_over: int = 0


class Days:
    """The deployment, as far as dealing goes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chance = Random(plan.seed)  # noqa: S311  # a scene, no secret
        self._world = World()
        for egress in plan.egress():
            self._world.apply(topics.EGRESS.name, str(egress.slot), msgspec.json.encode(egress))
        self._history = History(load(None).volumes)
        for begin, slot, provider, mails in plan.week_before():
            self._tell(begin, slot, provider, attempts=mails, accepted=mails)
        self._history.ready = True
        self._ledger = WarmupLedger(
            egress=self._world.egress,
            warmups=self._world.warmups,
            volumes=self._history,
            terms=warmup_terms(),
        )
        self._tables = [Tables() for _ in range(PARTITIONS)]
        self._gates = [self._gate(partition) for partition in range(PARTITIONS)]
        self._back: list[tuple[datetime, int, int, str]] = []
        self._hour: Counter[tuple[int, str, str]] = Counter()
        self._passed = Passed(plan=plan)

    def _gate(self, partition: int) -> Slots:
        return Slots(self._tables[partition], partition, partitions=PARTITIONS, width=WARM + len(NEW))

    def go(self, tell: Callable[[int], None]) -> Passed:
        """Let them pass; `tell` hears of each day's begin."""
        providers, shares = list(SHARES), list(SHARES.values())
        for now, count in self._plan.minutes(self._chance):
            if now.minute == 0:
                self._hour_begins(now, tell)
            if now.minute == _TOLD_MIN:
                self._told(now.replace(minute=0) - _HOUR)
            if now.minute % _LOOK_MIN == 0:
                self._say(now)
            while self._back and self._back[0][0] <= now:
                _, partition, slot, provider = heapq.heappop(self._back)
                self._passed.retries += 1
                self._deal(partition, provider, now, own=slot)
            for provider in self._chance.choices(providers, shares, k=count):
                self._passed.asked += 1
                self._deal(self._chance.randrange(PARTITIONS), provider, now, own=None)
        return self._passed

    def _hour_begins(self, now: datetime, tell: Callable[[int], None]) -> None:
        hours = day_number(now) * 24 + now.hour
        if now.hour == 0:
            tell(day_number(now))
        if hours % TAKEN_OVER_H == TAKEN_OVER_H - 1:
            partition = hours // TAKEN_OVER_H % PARTITIONS
            self._gates[partition] = self._gate(partition)
            self._passed.taken_over += 1

    def _say(self, now: datetime) -> None:
        for provider in self._ledger.providers_due(now):
            for day in self._ledger.due(provider, now):
                key = ids.slot_provider_key(day.slot, day.provider)
                self._world.apply(topics.WARMUPS.name, key, msgspec.json.encode(day))
                self._passed.said.append(day)

    def _deal(self, partition: int, provider: str, now: datetime, *, own: int | None) -> None:
        gate = self._gates[partition]
        weights = gate.usable(POOL, provider, self._world.share(POOL, provider, now), now)
        if not weights:
            self._passed.waited += 1
            return
        if own is not None and any(slot == own for slot, _ in weights):
            slot = own
            gate.keep(POOL, provider, slot)
        else:
            slot = gate.deal(POOL, provider, weights).slot
        self._passed.dealt[slot, provider, day_number(now), now.hour] += 1
        self._receive(partition, slot, provider, now)

    def _receive(self, partition: int, slot: int, provider: str, now: datetime) -> None:
        self._hour[slot, provider, "attempts"] += 1
        if self._chance.random() < self._plan.deferred(slot, provider, day_number(now)):
            self._hour[slot, provider, "deferred"] += 1
            due = now + timedelta(minutes=self._chance.randint(*RETRY_MIN))
            heapq.heappush(self._back, (due, partition, slot, provider))
            return
        self._hour[slot, provider, "accepted"] += 1
        if self._chance.random() < self._plan.complained(slot, provider, day_number(now)):
            self._hour[slot, provider, "complained"] += 1

    def _told(self, begin: datetime) -> None:
        """The volumes of the hour that is over."""
        hour, self._hour = self._hour, Counter()
        for slot, provider in {(slot, provider) for slot, provider, _ in hour}:
            figures = {name: hour[slot, provider, name] for name in ("attempts", "accepted", "deferred", "complained")}
            self._tell(begin, slot, provider, **figures)

    def _tell(self, begin: datetime, slot: int, provider: str, **figures: int) -> None:
        none = dict.fromkeys(("bounced", "deferred", "complained"), 0)
        key, span_s = ids.slot_provider_key(slot, provider), int(_HOUR.total_seconds())
        self._history.put(Volume(scope="slot/provider", key=key, begins_at=begin, span_s=span_s, **(none | figures)))
