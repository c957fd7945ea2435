"""One look at the waiting room: what of it may go now, and what can only have ended.

A campaign is judged once for all its rows.  A line is what waits for it at one provider, with the lanes that are due:

- `cancelled`: all lanes, due or not, to be ended;
- `transactional`, and `marketing` by pool: these may go, credit allowing;
- `short`: the (pool, provider) for which there is no credit, and so no line;
- `paced`: held by their campaign's pace alone;
- `held`: due, but something that the whole lane shares holds it.  Its first row is looked at for its end alone.

Nothing is read from the tables here.  What is known of a lane's first row (`Queue.ends`) says whether to look at it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from schemas.events import Campaign, Content
from streams.gate.credit import Credit
from streams.gate.state import millis
from streams.gate.verdict import WaitReason, campaign_waits
from streams.gate.waiting import LANES, RETURNED, Lane, Queue, WaitingRoom
from streams.spread.dealing import Weights
from streams.views.world import World

# Of a pool to a provider, for a kind of mail: it may pass; it waits for credit; no slot takes it.
Door = Literal["open", "short", "shut"]
_MISSING: Final = frozenset({"unknown_campaign", "content"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A campaign as all its rows meet it: what holds its new ones, and those that were dealt before."""

    key: str
    campaign: Campaign | None
    content: Content | None
    new: WaitReason | None
    returned: WaitReason | None
    cancelled: bool

    def holds(self, lane: Lane) -> WaitReason | None:
        """What all rows of the lane wait for."""
        return self.returned if lane == RETURNED else self.new

    @property
    def kind(self) -> str:
        """A campaign that nobody knows is no reset of a password."""
        return "marketing" if self.campaign is None else self.campaign.kind


@dataclass(kw_only=True, slots=True, eq=False)
class Line:
    """What waits for one campaign at one provider, and the lanes of it that are meant."""

    standing: Standing
    provider: str
    queue: Queue
    lanes: list[Lane]

    def ends_unseen(self, lane: Lane, now: datetime) -> bool:
        """Whether the lane's first row may have ended, as far as nobody has looked."""
        ends = self.queue.ends.get(lane)
        if ends is None or now >= ends.at:
            return True
        return ends.campaign is not self.standing.campaign or ends.content is not self.standing.content

    def only(self, lane: Lane) -> "Line":
        """The line with this lane alone."""
        return Line(standing=self.standing, provider=self.provider, queue=self.queue, lanes=[lane])


@dataclass(kw_only=True, slots=True)
class Agenda:
    """What a release has before it."""

    cancelled: list[Line] = field(default_factory=list)
    held: list[Line] = field(default_factory=list)
    paced: list[Line] = field(default_factory=list)
    short: set[tuple[str, str]] = field(default_factory=set)
    transactional: list[Line] = field(default_factory=list)
    marketing: dict[str, list[Line]] = field(default_factory=dict)


class Look:
    """Looks at one partition's waiting room."""

    def __init__(
        self, room: WaitingRoom, world: World, credit: Credit, weights: Callable[[str, str, datetime], Weights]
    ) -> None:
        """`weights`: the slots that take mail for (pool, provider) at a time."""
        self._room = room
        self._world = world
        self._credit = credit
        self._weights = weights
        # What is looked at once is asked for three times: by the release, by when the next is due, by the demand.
        self._standings: dict[str, Standing] = {}
        self._stand: tuple[datetime | None, int] = None, -1

    def standing(self, key: str, now: datetime) -> Standing:
        """The campaign as it stands now."""
        stand = now, self._world.changes
        if stand != self._stand:
            self._standings.clear()
            self._stand = stand
        found = self._standings.get(key)
        if found is None:
            found = self._standings[key] = self._judged(key, now)
        return found

    def _judged(self, key: str, now: datetime) -> Standing:
        campaign = self._world.campaigns.get(key)
        if campaign is None:
            return Standing(
                key=key,
                campaign=None,
                content=None,
                new="unknown_campaign",
                returned="unknown_campaign",
                cancelled=False,
            )
        content = self._world.content(campaign)
        state = self._world.campaign_state(campaign, now)
        returned = campaign_waits(campaign, state, self._world, now, compiled=True)
        return Standing(
            key=key,
            campaign=campaign,
            content=content,
            new="content" if content is None else returned,
            returned=returned,
            cancelled=state == "cancelled",
        )

    def at(self, standing: Standing, provider: str, now: datetime) -> Standing:
        """The campaign as its rows for one provider meet it: a tenant's mail to that may be stopped by a control."""
        campaign = standing.campaign
        if campaign is None or standing.cancelled or not self._world.controls_on("tenant", campaign.tenant):
            return standing
        word = self._world.campaign_state(campaign, now, provider)
        if word == "cancelled":
            return replace(standing, cancelled=True)
        if word == "paused" and standing.returned is None:
            return replace(standing, new=standing.new or "paused", returned="paused")
        return standing

    def takes(self, campaign: Campaign, provider: str, now: datetime) -> bool:
        """Whether any slot of the campaign's pool takes mail for the provider."""
        return bool(self._weights(campaign.pool, provider, now))

    def agenda(self, now: datetime) -> Agenda:
        """All that waits, sorted by what may become of it now."""
        agenda, now_ms = Agenda(), millis(now)
        doors: dict[tuple[str, str, str], Door] = {}
        for key, queues in self._room.campaigns.items():
            whole = self.standing(key, now)
            queues.missing_since = (queues.missing_since or now) if whole.new in _MISSING else None
            campaign = whole.campaign
            for provider, queue in queues.by_provider.items():
                standing = self.at(whole, provider, now)
                if standing.cancelled:
                    lanes = [lane for lane in LANES if queue.rows[lane]]
                    agenda.cancelled.append(Line(standing=standing, provider=provider, queue=queue, lanes=lanes))
                    continue
                due = [lane for lane in LANES if queue.due_ms[lane] <= now_ms]
                if not due:
                    continue
                line = Line(standing=standing, provider=provider, queue=queue, lanes=due)
                if campaign is None:
                    agenda.held += self._unseen(line, now)
                    continue
                door = campaign.pool, provider, campaign.kind
                if door not in doors:
                    doors[door] = self._door(campaign, provider, now)
                self._sort(line, campaign, doors[door], agenda, now)
        return agenda

    def _door(self, campaign: Campaign, provider: str, now: datetime) -> Door:
        if not self.takes(campaign, provider, now):
            return "shut"
        pool = campaign.pool
        short = min(self._credit.pool_capacity(pool, provider, now), self._credit.capacity(pool, provider, now)) < 1.0
        return "short" if short and campaign.kind != "transactional" else "open"

    def _sort(self, line: Line, campaign: Campaign, door: Door, agenda: Agenda, now: datetime) -> None:
        if door == "short":
            agenda.short.add((campaign.pool, line.provider))
        if door != "open":
            agenda.held += self._unseen(line, now)
            return
        moving = []
        for lane in line.lanes:
            if line.standing.holds(lane) is None:
                if lane == RETURNED or self._credit.has_pace(campaign, now):
                    moving.append(lane)
                    continue
                agenda.paced.append(line.only(lane))
            if line.ends_unseen(lane, now):
                agenda.held.append(line.only(lane))
        if not moving:
            return
        line.lanes = moving
        if campaign.kind == "transactional":
            agenda.transactional.append(line)
        else:
            agenda.marketing.setdefault(campaign.pool, []).append(line)

    def _unseen(self, line: Line, now: datetime) -> list[Line]:
        return [line.only(lane) for lane in line.lanes if line.ends_unseen(lane, now)]
