"""What a gate partition would deal now if it had the credit: told to CONTROL, which splits rates by it.

Counted is what waits for credit alone: not what a pause, a start, a window or a missing slot holds.  Of a paced
campaign no more than its pace lets go in HORIZON_S, or its backlog would draw capacity that it can't use; of what came
back no more than SEEN at each provider, since most of it is not due yet.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from schemas.events import Campaign, Demand
from streams.gate.agenda import Look
from streams.gate.state import millis
from streams.gate.waiting import NEW, RETURNED, TIMED, Lane, Queue, WaitingRoom

# Told when it changed, and while there is any at least so often, so that CONTROL can tell a gate that is gone.
EVERY: Final = timedelta(seconds=1)
AT_LEAST: Final = timedelta(seconds=2)
# Seconds: what CONTROL lets a slot queue at most.
HORIZON_S: Final = 10.0
SEEN: Final = 64


class Demands:
    """The demand of one gate partition."""

    def __init__(self, partition: int, room: WaitingRoom, look: Look) -> None:
        self._partition = partition
        self._room = room
        self._look = look
        self._counted_at: datetime | None = None
        self._told: Demand | None = None

    def told(self, now: datetime) -> Demand | None:
        """What is to be told now; None while nothing is."""
        if self._counted_at is not None and self._counted_at <= now < self._counted_at + EVERY:
            return None
        self._counted_at = now
        demand, told = self.count(now), self._told
        some = bool(demand.capacity or demand.paces or demand.tenants)
        if told is None:
            news = some
        else:
            same = (demand.capacity, demand.paces, demand.tenants) == (told.capacity, told.paces, told.tenants)
            news = not same or (some and not told.at <= now < told.at + AT_LEAST)
        if not news:
            return None
        self._told = demand
        return demand

    def count(self, now: datetime) -> Demand:
        """All that waits for credit alone."""
        capacity, paces, tenants = Counter[str](), Counter[str](), Counter[str]()
        for key, queues in self._room.campaigns.items():
            whole = self._look.standing(key, now)
            campaign = whole.campaign
            if campaign is None:
                continue
            for provider, queue in queues.by_provider.items():
                standing = self._look.at(whole, provider, now)
                if standing.cancelled or not self._look.takes(campaign, provider, now):
                    continue
                new = _due(queue, TIMED, now) + queue.rows[NEW] if standing.new is None else 0
                back = _due(queue, RETURNED, now) if standing.returned is None else 0
                tenants[campaign.tenant] += new + back
                if campaign.pace_per_s is not None:
                    paces[key] += new
                if campaign.kind != "transactional":
                    capacity[f"{campaign.pool}/{provider}"] += _paced(campaign, new) + back
        return Demand(
            gate_partition=self._partition, at=now, capacity=dict(+capacity), paces=dict(+paces), tenants=dict(+tenants)
        )


def _due(queue: Queue, lane: Lane, now: datetime) -> int:
    return min(queue.rows[lane], SEEN) if queue.due_ms[lane] <= millis(now) else 0


def _paced(campaign: Campaign, new: int) -> int:
    return new if campaign.pace_per_s is None else int(min(new, 1.0 + campaign.pace_per_s * HORIZON_S))
