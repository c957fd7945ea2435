"""One look at the waiting room: what of it may go now, and what can only have ended.

A campaign is judged once for all its rows.  A line is what waits for it at one provider, with the lanes that are due:

- `cancelled`: all lanes, due or not, to be ended;
- `transactional`, and `marketing` by pool: these may go, credit allowing;
- `paced`: held by their campaign's pace alone;
- `held`: due, but something that the whole lane shares holds it.  Its first row is looked at for its end alone.

Nothing is read from the tables here.  What is known of a lane's first row (`Queue.ends`) says whether to look at it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from schemas.events import Campaign, Content
from streams.gate.credit import Credit
from streams.gate.state import millis
from streams.gate.verdict import WaitReason, campaign_waits
from streams.gate.waiting import LANES, RETURNED, Lane, Queue, WaitingRoom
from streams.spread.dealing import Weights
from streams.views.world import World

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

    def standing(self, key: str, now: datetime) -> Standing:
        """The campaign as it stands now."""
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
        agenda = Agenda()
        for key, queues in self._room.campaigns.items():
            campaign = self.standing(key, now)
            queues.missing_since = (queues.missing_since or now) if campaign.new in _MISSING else None
            for provider, queue in queues.by_provider.items():
                standing = self.at(campaign, provider, now)
                line = Line(standing=standing, provider=provider, queue=queue, lanes=[])
                if standing.cancelled:
                    line.lanes = [lane for lane in LANES if queue.rows[lane]]
                    agenda.cancelled.append(line)
                else:
                    self._sort(line, agenda, now)
        return agenda

    def _sort(self, line: Line, agenda: Agenda, now: datetime) -> None:
        queue, now_ms, campaign = line.queue, millis(now), line.standing.campaign
        due = [lane for lane in LANES if queue.rows[lane] and queue.due_ms[lane] <= now_ms]
        takes = bool(due) and campaign is not None and self.takes(campaign, line.provider, now)
        for lane in due:
            free = takes and line.standing.holds(lane) is None
            if free and (lane == RETURNED or campaign is None or self._credit.has_pace(campaign, now)):
                line.lanes.append(lane)
                continue
            if free:
                agenda.paced.append(line.only(lane))
            if line.ends_unseen(lane, now):
                agenda.held.append(line.only(lane))
        if not line.lanes or campaign is None:
            return
        if campaign.kind == "transactional":
            agenda.transactional.append(line)
        else:
            agenda.marketing.setdefault(campaign.pool, []).append(line)
