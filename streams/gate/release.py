"""Out of the waiting room: transactional mail first, then marketing as credit allows, each tenant by its share.

1. One look says what may go, and what can only end (`agenda`).
2. Transactional campaigns go by turns.
3. What can only end (cancelled, expired, missing too long) has half of what is left of the limit.
4. Each pool's credit is shared out (`sharing`), pools by turns.
5. What had no turn is looked at for its end, where the first of it may have come to that.

Every row is decided on again, in full (`rows`).  A lane stops at the first mail that still waits, so a campaign that
can't go costs at most one look, and a pause, a cancellation or a new pace takes effect at the next release.  While a
campaign is paused its mails still expire, in that order: a returned one at the latest with those that are due before
it.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from schemas.events import Campaign
from streams.gate.agenda import Agenda, Line, Look
from streams.gate.outcomes import Outcomes
from streams.gate.rota import Rota
from streams.gate.rows import Released, Rows
from streams.gate.settling import Settling
from streams.gate.sharing import TURN, Sharing, Tags
from streams.gate.state import millis, moment
from streams.gate.terms import DeskSettings
from streams.gate.waiting import NEW, RETURNED, Lane, WaitingRoom
from streams.runtime.partition.emission import Emission
from streams.views.world import World

# How long to look away from what a change of the world alone can set free: a pause's end is seen within that.
IDLE: Final = timedelta(seconds=1)
# Lines of which the first row is looked at for its end, at most, in one release: 0.1 ms each, and the worker's other
# partitions wait meanwhile.  After a restart all of them are looked at once.
LINES: Final = 200
# Owners of turns that are no tenant and no campaign: neither's name holds a blank.
_TRANSACTIONAL: Final = "all transactional"
_POOLS: Final = "all pools"


class Release:
    """Releases the rows of one gate partition."""

    def __init__(
        self,
        partition: int,
        *,
        room: WaitingRoom,
        look: Look,
        settling: Settling,
        outcomes: Outcomes,
        world: World,
        settings: DeskSettings,
        counters: Counter[str],
    ) -> None:
        self._room = room
        self._world = world
        self._credit = settling.credit
        self._look = look
        self._rows = Rows(
            partition, room=room, settling=settling, outcomes=outcomes, settings=settings, counters=counters
        )
        self._tags = Tags()

    def release(self, now: datetime, limit: int) -> list[Emission]:
        """Let go what may go, and end what must: at most `limit` mails."""
        self._room.bring_over(limit)
        agenda = self._look.agenda(now)
        out = Released(left=limit)
        left = self._by_turns(agenda.transactional, now, out)
        ending = [*agenda.cancelled, *agenda.held]
        self._end(ending, now, out, keep=out.left // 2)
        for pool in self._tags.last.after_last(_POOLS, list(agenda.marketing)):
            if out.left:
                self._tags.last.had(_POOLS, pool)
            left += self._share_out(pool, agenda.marketing[pool], now, out)
        self._nobody_overtakes(agenda, left, now)
        unseen = [line.only(lane) for line in left for lane in line.lanes if line.ends_unseen(lane, now)]
        self._end([*ending, *unseen], now, out, keep=0)
        return out.emissions

    def _by_turns(self, lines: Iterable[Line], now: datetime, out: Released) -> list[Line]:
        """What is left of them, when each has gone as far as it goes."""
        rota = Rota(_TRANSACTIONAL, lines, self._tags.last)
        while out.left and (line := rota.pick(lambda _: True)) is not None:
            most = min(TURN, out.left)
            served = self._rows.serve(line, most, now, place="next", out=out)
            rota.served(line)
            if served < most:
                rota.drop(line)
        return list(rota)

    def _share_out(self, pool: str, lines: list[Line], now: datetime, out: Released) -> list[Line]:
        provider = lines[0].provider
        sharing = Sharing(
            pool,
            lines,
            tags=self._tags,
            weight=self._weight,
            pool_left=lambda: self._credit.pool_capacity(pool, provider, now),
            left=lambda provider: self._credit.capacity(pool, provider, now),
        )
        while out.left and (turn := sharing.next(out.left)) is not None:
            line, most = turn
            dealt = out.dealt
            served = self._rows.serve(line, most, now, place="next", out=out)
            sharing.had(line, out.dealt - dealt, more=served == most)
        return sharing.left()

    def _nobody_overtakes(self, agenda: Agenda, left: Iterable[Line], now: datetime) -> None:
        paced = {}
        for line in (
            *agenda.transactional,
            *(one for lines in agenda.marketing.values() for one in lines),
            *agenda.paced,
        ):
            campaign = line.standing.campaign
            if campaign is not None and campaign.pace_per_s is not None and line.queue.rows[NEW]:
                paced[line.standing.key] = campaign
        capacity = {
            (campaign.pool, line.provider)
            for line in left
            if (campaign := line.standing.campaign) is not None and campaign.kind == "marketing"
        } | agenda.short
        self._credit.waited_for(paced=paced.values(), capacity=capacity, now=now)

    def _weight(self, tenant: str) -> float:
        known = self._world.tenants.get(tenant)
        return 1.0 if known is None else known.weight

    def _end(self, lines: Iterable[Line], now: datetime, out: Released, *, keep: int) -> None:
        """End what of these lines must, until `keep` is left of the limit; the rest of the lines at the next look."""
        for line in islice(lines, LINES):
            if out.left <= keep:
                return
            self._rows.serve(line, out.left - keep, now, place="behind", out=out)

    # ── when to look again ───────────────────────────────────────────────────────────────────────────────────────────

    def next_release(self, now: datetime) -> datetime | None:
        """When `release` has something to do again; None when nothing waits."""
        if len(self._room.old):
            return now
        return min(self._wakes(now), default=None)

    def _wakes(self, now: datetime) -> Iterable[datetime]:
        """When each campaign's mail to each provider may go, or is to be looked at again."""
        now_ms, idle = millis(now), now + IDLE
        free: dict[tuple[str, str, str, bool], datetime] = {}
        for key, queues in self._room.campaigns.items():
            whole = self._look.standing(key, now)
            for provider, queue in queues.by_provider.items():
                standing = self._look.at(whole, provider, now)
                campaign = standing.campaign
                if standing.cancelled:
                    yield now
                    return
                later = min((due for due in queue.due_ms.values() if due > now_ms), default=sys.maxsize)
                if later != sys.maxsize:
                    yield moment(later)
                for lane, due in queue.due_ms.items():
                    if due > now_ms:
                        continue
                    if campaign is None or standing.holds(lane) is not None:
                        yield idle
                        continue
                    whose = campaign.pool if campaign.pace_per_s is None else key
                    name = whose, provider, campaign.kind, lane != RETURNED
                    if name not in free:
                        free[name] = self._free_at(campaign, provider, lane, now) or idle
                    yield min(free[name], idle)

    def _free_at(self, campaign: Campaign, provider: str, lane: Lane, now: datetime) -> datetime | None:
        if not self._look.takes(campaign, provider, now):
            return None
        return self._credit.ready_at(campaign, provider, now, new=lane != RETURNED)
