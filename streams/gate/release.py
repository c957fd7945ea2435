"""Out of the waiting room: transactional mail first, then campaigns by turns, each in the order of its due times.

Every row is decided on again, in full.  A lane stops at the first mail that still waits, so a campaign that can't go
costs one look, and a pause, a cancellation or a new pace takes effect at the next release.  While a campaign is paused
its mails still expire, in that order: a returned one at the latest with those that are due before it.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas import ids, topics
from schemas.events import Rule, Send
from streams.gate.outcomes import Outcomes, dead_letter
from streams.gate.person import Entry, Person, Stage
from streams.gate.settling import Dealt, Ended, Settling, Waiting
from streams.gate.state import millis, moment, passed_over
from streams.gate.terms import DeskSettings, Source
from streams.gate.verdict import Case
from streams.gate.waiting import LANES, NEW, RETURNED, Lane, Queue, WaitingRoom, due_ms, unpack
from streams.runtime.errors import RuntimeFault
from streams.runtime.partition.emission import Emission
from streams.views.world import World

# Rows of one campaign in a row before the next has its turn: enough to make a scan worth it, few enough to be fair.
TURN: Final = 16
# How long to look away from what a change of the world alone can set free: a pause's end is seen within that.
IDLE: Final = timedelta(seconds=1)


class Release:
    """Releases the rows of one gate partition."""

    def __init__(
        self,
        partition: int,
        *,
        room: WaitingRoom,
        settling: Settling,
        outcomes: Outcomes,
        world: World,
        settings: DeskSettings,
        counters: Counter[str],
    ) -> None:
        self._partition = partition
        self._room = room
        self._settling = settling
        self._outcomes = outcomes
        self._world = world
        self._wait = timedelta(seconds=settings.unknown_campaign_wait_s)
        self._counters = counters
        self._last = {"transactional": "", "marketing": ""}  # who had the last turn

    def release(self, now: datetime, limit: int) -> list[Emission]:
        """Let go what may go, and end what must: at most `limit` mails."""
        emissions: list[Emission] = []
        left = limit
        for kind in ("transactional", "marketing"):
            names = [name for name in self._room.queues if self._kind(name) == kind]
            begin = names.index(self._last[kind]) + 1 if self._last[kind] in names else 0
            names = names[begin:] + names[:begin]
            while names and left:
                more: list[str] = []
                for name in names:
                    turn = min(TURN, left)
                    released = self._turn(name, now, turn, emissions)
                    left -= released
                    if released:
                        self._last[kind] = name
                    if released == turn:
                        more.append(name)
                    if not left:
                        break
                names = more
        return emissions

    def _kind(self, campaign_key: str) -> str:
        campaign = self._world.campaigns.get(campaign_key)
        return "marketing" if campaign is None else campaign.kind

    def _cancelled(self, campaign_key: str, now: datetime) -> bool:
        campaign = self._world.campaigns.get(campaign_key)
        return campaign is not None and self._world.campaign_state(campaign, now) == "cancelled"

    def _turn(self, name: str, now: datetime, limit: int, emissions: list[Emission]) -> int:
        """Up to `limit` rows of one campaign; the number that left the room."""
        queue = self._room.queues.get(name)
        if queue is None:
            return 0
        missing = self._settling.holds(name, now, dealt_before=False) in {"unknown_campaign", "content"}
        queue.missing_since = (queue.missing_since or now) if missing else None
        ends = self._cancelled(name, now)  # then nobody's due time matters
        released = 0
        for lane in LANES:
            if not queue.rows[lane] or (queue.due_ms[lane] > millis(now) and not ends):
                continue
            look = 1  # one row tells whether the lane moves at all
            while look and released < limit:
                rows = list(self._room.first(name, lane, min(look, limit - released)))
                look = limit if rows else 0
                for key, value in rows:
                    queue.due_ms[lane] = due_ms(key)
                    early = queue.due_ms[lane] > millis(now) and not ends
                    if early or not self._row(lane, key, value, now, emissions):
                        look = 0
                        break
                    released += 1
        return released

    def _row(self, lane: Lane, key: bytes, value: bytes, now: datetime, emissions: list[Emission]) -> bool:
        """Decide on one row again; False when it still waits."""
        try:
            send, keep_slot = unpack(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            emissions.append(self._lost(key, value, str(error)))
            return True
        try:
            return self._decide(lane, key, send, now, emissions, keep_slot=keep_slot)
        except RuntimeFault:  # the table can't be read: no mail's fault, and no mail's end
            raise
        except Exception as error:  # noqa: BLE001 - one mail's internal error must not hold up all that wait behind it
            self._settling.forget_dealers()
            rule = Rule(rule="internal_error", value=type(error).__name__, limit="none")
            emissions.append(self._outcomes.final(send, "rejected", (rule,), now))
            emissions.append(self._lost(key, value, type(error).__name__))
            with passed_over():  # where the person's record itself is what fails, it stays as it is
                self._end(self._settling.person(send.tenant, send.recipient_id, now), send)
            return True

    def _decide(
        self, lane: Lane, key: bytes, send: Send, now: datetime, emissions: list[Emission], *, keep_slot: bool
    ) -> bool:
        person = self._settling.person(send.tenant, send.recipient_id, now)
        entry = person.entry(send.send_id)
        if entry is None or entry.stage is not (Stage.WAITING if lane == NEW else Stage.RETURNED):
            raise LookupError("no entry waits for this row")
        missing_since = self._queue(send).missing_since or now
        case = Case(send=send, person=person, entry=entry, missing_since=missing_since)
        match self._settling.settle(case, now, keep_slot=keep_slot, behind=False):
            case Waiting():
                return False
            case Dealt(emission=emission, entry=dealt):
                self._settling.write(send, person.with_entry(dealt))
            case Ended(emission=emission):
                self._end(person, send)
        self._room.remove(key)
        emissions.append(emission)
        return True

    def _queue(self, send: Send) -> Queue:
        return self._room.queues[ids.campaign_key(send.tenant, send.campaign_id)]

    def _end(self, person: Person, send: Send) -> None:
        """Forget a mail that was never dealt, so that it may be asked for again; else free its place under the caps."""
        entry = person.entry(send.send_id)
        if entry is not None:
            left = closed(entry, send) if send.deal else None
            self._settling.write(send, person.with_entry(left) if left else person.without(send.send_id))

    def _lost(self, key: bytes, value: bytes, error: str) -> Emission:
        self._counters["rows_lost"] += 1
        self._room.remove(key)
        source = Source(topic=topics.GATE_STATE.name, partition=self._partition, offset=-1, key=key)
        return dead_letter(source, value, "waiting room", error)

    def next_release(self, now: datetime) -> datetime | None:
        """When `release` has something to do again; None when nothing waits."""
        times = (self._wakes(name, queue, now) for name, queue in self._room.queues.items())
        return min(times, default=None)

    def _wakes(self, name: str, queue: Queue, now: datetime) -> datetime:
        if self._cancelled(name, now):
            return now
        times = []
        if queue.rows[RETURNED]:
            held = self._settling.holds(name, now, dealt_before=True)
            times.append(max(moment(queue.due_ms[RETURNED]), now + IDLE if held else now))
        if queue.rows[NEW]:
            times.append(self._new_wakes(name, queue, now))
        return min(times)

    def _new_wakes(self, name: str, queue: Queue, now: datetime) -> datetime:
        if self._settling.holds(name, now, dealt_before=False) is not None:
            return now + IDLE
        credit = self._settling.credit_at(name, now)
        return now + IDLE if credit is None else max(moment(queue.due_ms[NEW]), credit)


def closed(entry: Entry, send: Send) -> Entry:
    """The entry of a mail that was dealt and ended: its send id stays taken, its place is free if it reached nobody."""
    return msgspec.structs.replace(entry, stage=Stage.CLOSED, counts=entry.counts and send.in_doubt)
