"""One waiting row decided on again, in full: it goes, it ends, or it still waits.

What is wrong with one row is that row's end, never the room's: bytes that are no row become a dead letter, an internal
error ends the mail `rejected` beside one.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from schemas import topics
from schemas.events import Rule, Send
from streams.gate.agenda import Line
from streams.gate.credit import Place
from streams.gate.outcomes import Outcomes, dead_letter
from streams.gate.person import Entry, Person, Stage
from streams.gate.settling import Dealt, Ended, Settling, Waiting
from streams.gate.state import millis, passed_over
from streams.gate.terms import DeskSettings, Source
from streams.gate.verdict import Case, ends_at, expiry
from streams.gate.waiting import RETURNED, TIMED, Ends, Lane, WaitingRoom, due_ms, pack, unpack
from streams.runtime.errors import RuntimeFault
from streams.runtime.partition.emission import Emission


@dataclass(kw_only=True, slots=True)
class Released:
    """What a release has let go so far: how many more mails it may, and how many of them were dealt."""

    left: int
    dealt: int = 0
    emissions: list[Emission] = field(default_factory=list)


class Rows:
    """Decides the rows of one gate partition."""

    def __init__(
        self,
        partition: int,
        *,
        room: WaitingRoom,
        settling: Settling,
        outcomes: Outcomes,
        settings: DeskSettings,
        counters: Counter[str],
    ) -> None:
        self._partition = partition
        self._room = room
        self._settling = settling
        self._outcomes = outcomes
        self._settings = settings
        self._counters = counters

    def serve(self, line: Line, most: int, now: datetime, *, place: Place, out: Released) -> int:
        """Up to `most` rows of a line, lane by lane; the number that left the room."""
        done = 0
        for lane in line.lanes:
            chunk = 1 if place == "behind" else most  # one row tells whether the lane ends at all
            while done < most and line.queue.rows[lane]:
                left = min(chunk, most - done)
                moved = self._serve_lane(line, lane, left, now, place=place, out=out)
                done += moved
                if moved < left:
                    break
                chunk = most
        out.left -= done
        return done

    def _serve_lane(self, line: Line, lane: Lane, most: int, now: datetime, *, place: Place, out: Released) -> int:
        moved, standing = 0, line.standing
        for key, value in self._room.first(standing.key, line.provider, lane, most):
            line.queue.due_ms[lane] = due_ms(key)
            early = line.queue.due_ms[lane] > millis(now) and not standing.cancelled
            if early or not self._row(line, lane, key, value, now, place=place, out=out):
                break
            moved += 1
        return moved

    def _row(
        self, line: Line, lane: Lane, key: bytes, value: bytes, now: datetime, *, place: Place, out: Released
    ) -> bool:
        """Decide on one row again; False when it still waits."""
        try:
            send, keep_slot = unpack(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            out.emissions.append(self._lost(key, value, str(error)))
            return True
        try:
            return self._decide(line, lane, key, send, now, keep_slot=keep_slot, place=place, out=out)
        except RuntimeFault:  # the table can't be read: no mail's fault, and no mail's end
            raise
        except Exception as error:  # noqa: BLE001 - one mail's internal error must not hold up all that wait behind it
            self._settling.forget_dealers()
            rule = Rule(rule="internal_error", value=type(error).__name__, limit="none")
            out.emissions.append(self._outcomes.final(send, "rejected", (rule,), now))
            out.emissions.append(self._lost(key, value, type(error).__name__))
            with passed_over():  # where the person's record itself is what fails, it stays as it is
                self._end(self._settling.person(send.tenant, send.recipient_id, now), send)
            return True

    def _decide(
        self,
        line: Line,
        lane: Lane,
        key: bytes,
        send: Send,
        now: datetime,
        *,
        keep_slot: bool,
        place: Place,
        out: Released,
    ) -> bool:
        person = self._settling.person(send.tenant, send.recipient_id, now)
        entry = person.entry(send.send_id)
        if entry is None or entry.stage is not (Stage.RETURNED if lane == RETURNED else Stage.WAITING):
            raise LookupError("no entry waits for this row")
        missing_since = self._room.campaigns[line.standing.key].missing_since
        case = Case(send=send, person=person, entry=entry, missing_since=missing_since or now)
        settled = self._settling.settle(case, now, keep_slot=keep_slot, place=place)
        match settled:
            case Waiting(until=datetime() as until):
                self._puts_off(lane, key, send, until, line, keep_slot=keep_slot)
                return True
            case Waiting():
                standing = line.standing
                at = ends_at(send, standing.campaign, missing_since, self._settings)
                line.queue.ends[lane] = Ends(campaign=standing.campaign, content=standing.content, at=at)
                return False
            case Dealt(entry=dealt):
                self._settling.write(send, person.with_entry(dealt))
                out.dealt += 1
            case Ended():
                self._end(person, send)
        self._room.remove(key)
        out.emissions.append(settled.emission)
        return True

    def _puts_off(self, lane: Lane, key: bytes, send: Send, until: datetime, line: Line, *, keep_slot: bool) -> None:
        """Its window is shut: nobody waits behind it until that opens, or it expires."""
        send = msgspec.structs.replace(send, due=min(until, expiry(send, line.standing.campaign, self._settings)))
        self._room.put(RETURNED if lane == RETURNED else TIMED, send, pack(send, keep_slot=keep_slot))
        self._room.remove(key)

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


def closed(entry: Entry, send: Send) -> Entry:
    """The entry of a mail that was dealt and ended: its send id stays taken, its place is free if it reached nobody."""
    return msgspec.structs.replace(entry, stage=Stage.CLOSED, counts=entry.counts and send.in_doubt)
