"""One gate partition's dealer: records in, records out, tables written on the way.

`receive` takes a recipient or a return, `release` what waits and may go, `reject` what an internal error stopped.
Bad input raises nothing.  Each decides and builds every record first (which may fail), and writes its tables after.

What the tables and the records say must be committed together.  After a batch that was not, make a new desk from the
committed state: memory holds the waiting room's index, the dealers and the pace's credit.
"""

from collections import Counter
from datetime import datetime

import msgspec

from schemas import ids, topics
from schemas.events import Demand, Recipient, Return, Rule, Send
from streams.gate.agenda import Look
from streams.gate.decode import Broken, Names, name_event, read_recipient
from streams.gate.demand import Demands
from streams.gate.drafts import KINDS, draft, named_draft
from streams.gate.origin import forwarded, original
from streams.gate.outcomes import Outcomes, dead_letter, failed_letter
from streams.gate.person import Entry, Person, Stage
from streams.gate.release import Release
from streams.gate.rows import closed
from streams.gate.settling import Dealt, Ended, Settling
from streams.gate.state import State, passed_over
from streams.gate.sweep import Sweep
from streams.gate.terms import DeskSettings, Source
from streams.gate.verdict import Case, expiry, waiting_rule
from streams.gate.waiting import NEW, RETURNED, TIMED, Lane, WaitingRoom, pack
from streams.runtime.dead_letters import Failure
from streams.runtime.partition.emission import Emission
from streams.views.world import World

__all__ = ["Desk", "DeskSettings", "Emission", "Source"]

_decode_return = msgspec.json.Decoder(Return).decode


class Desk:
    """The gate's decisions for one partition.

    `counters`: `forwarded` misplaced events, `replayed` events and `returns_ignored` (seen before, or not of the
    current deal; only a stale read shows them), `rows_lost` from the waiting room (never, short of a defect).
    """

    def __init__(
        self, partition: int, *, partitions: int, slots: int, state: State, world: World, settings: DeskSettings
    ) -> None:
        """`partitions` is the gate's P, `slots` the width of the sends topics; `state` is scanned once."""
        self.counters: Counter[str] = Counter()
        self._partition = partition
        self._partitions = partitions
        self._world = world
        self._settings = settings
        self._outcomes = Outcomes(
            partition=partition % slots,
            address_key=settings.address_key,
            address_key_version=settings.address_key_version,
        )
        self._room = WaitingRoom(state)
        self._sweep = Sweep(state, world)
        self._settling = Settling(
            partition,
            partitions=partitions,
            slots=slots,
            state=state,
            world=world,
            settings=settings,
            outcomes=self._outcomes,
        )
        look = Look(self._room, world, self._settling.credit, self._settling.weights)
        self._demands = Demands(partition, self._room, look)
        self._release = Release(
            partition,
            room=self._room,
            look=look,
            settling=self._settling,
            outcomes=self._outcomes,
            world=world,
            settings=settings,
            counters=self.counters,
        )

    @property
    def outcome_types(self) -> Counter[str]:
        """Deliveries made, by type."""
        return self._outcomes.types

    @property
    def waiting(self) -> int:
        """How many mails wait."""
        return len(self._room)

    @property
    def lines(self) -> int:
        """In how many queues they do, by campaign and provider."""
        return sum(len(queues.by_provider) for queues in self._room.campaigns.values())

    @property
    def forgotten(self) -> int:
        """How many persons the sweep has forgotten."""
        return self._sweep.forgotten

    def receive(self, source: Source, value: bytes | None, now: datetime) -> list[Emission]:
        """What one record of recipients or returns comes to.  Raises only for a defect of ours: see `reject`."""
        try:
            if source.topic == topics.RETURNS.name:
                return self._return(source, value, now)
            return self._recipient(source, value, now)
        except Exception:
            self._settling.forget_dealers()  # the caller takes back what was written
            raise

    def release(self, now: datetime, *, limit: int) -> list[Emission]:
        """What waits and may go, or ends, now: at most `limit` mails."""
        return self._release.release(now, limit)

    def sweep(self, now: datetime) -> None:
        """Forget persons whom no decision would look at any more: a few at a time, as often as this is called."""
        self._sweep.go_on(now)

    def next_release(self, now: datetime) -> datetime | None:
        """When `release` has something to do again; None when nothing waits."""
        return self._release.next_release(now)

    def demand(self, now: datetime) -> Demand | None:
        """What CONTROL is to know of what waits for credit, where it is time to tell."""
        return self._demands.told(now)

    def reject(self, source: Source, value: bytes | None, now: datetime, failure: Failure) -> list[Emission]:
        """For an event that an internal error stopped: a dead letter, beside a final `rejected` where it has names."""
        if source.topic == topics.RETURNS.name:
            return self._reject_return(source, value, now, failure)
        letter = failed_letter(source, value, failure)
        names = name_event(value) if source.topic in KINDS else None
        if names is None:
            return [letter]
        origin = original(source, value or b"", self._settings.address_key) or source
        return [self._rejected(named_draft(names, origin, self._partition, now), failure.name, now), letter]

    def _reject_return(self, source: Source, value: bytes | None, now: datetime, failure: Failure) -> list[Emission]:
        """A mail that came back would otherwise have no end; one given back, or since dealt again, needs none."""
        letter = failed_letter(source, value, failure)
        try:
            back = _decode_return(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [letter]
        with passed_over():  # where the person's record itself is what failed, it stays as it is
            person = self._settling.person(back.send.tenant, back.send.recipient_id, now)
            entry = _current(person, back)
            if entry is None:
                return [letter]
            self._settling.write(back.send, person.with_entry(closed(entry, back.send)))
        return [letter] if back.kind == "give_back" else [self._rejected(back.send, failure.name, now), letter]

    def _rejected(self, send: Send, error_name: str, now: datetime) -> Emission:
        rule = Rule(rule="internal_error", value=error_name, limit="none")
        return self._outcomes.final(send, "rejected", (rule,), now)

    # ── recipients ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _recipient(self, source: Source, value: bytes | None, now: datetime) -> list[Emission]:
        if value is None or source.topic not in KINDS:
            return [dead_letter(source, value, "malformed", "no value" if value is None else f"topic {source.topic}")]
        found = read_recipient(value)
        if isinstance(found, Broken):
            if found.names is None:
                return [dead_letter(source, value, "malformed", f"{found.rule.rule}: {found.rule.value}")]
            broken = named_draft(found.names, source, self._partition, now)
            return [self._outcomes.final(broken, "invalid", (found.rule,), now)]
        key = ids.person_key(found.tenant, found.recipient_id).encode()
        home = ids.partition_for(key, self._partitions)
        origin = original(source, value, self._settings.address_key)
        if home == self._partition:
            send, faults = draft(
                found, origin or source, self._partition, now, self._settings, rolled_up=self._world.providers
            )
            return self._first_sight(send, faults, now)
        if origin is None:
            self.counters["forwarded"] += 1
            return [forwarded(source, value, key=key, partition=home, secret=self._settings.address_key)]
        return self._astray(source, value, found, home, now)

    def _astray(self, source: Source, value: bytes, found: Recipient, home: int, now: datetime) -> list[Emission]:
        """A copy of a record that we forwarded, put elsewhere by somebody: it ends here, never in circles."""
        names = Names(tenant=found.tenant, campaign_id=found.campaign_id, recipient_id=found.recipient_id)
        rule = Rule(rule="partition", value=str(self._partition), limit=f"{home}, by its key")
        final = self._outcomes.final(named_draft(names, source, self._partition, now), "rejected", (rule,), now)
        return [final, dead_letter(source, value, "forwarded before", f"partition {self._partition}, not {home}")]

    def _first_sight(self, send: Send, faults: tuple[Rule, ...], now: datetime) -> list[Emission]:
        person = self._settling.person(send.tenant, send.recipient_id, now)
        entry = person.entry(send.send_id)
        if entry is not None and entry.came_from(send):
            self.counters["replayed"] += 1
            return []
        case = Case(send=send, person=person, entry=entry, faults=faults, missing_since=now)
        settled = self._settling.settle(case, now, keep_slot=False, place="arrives")
        match settled:
            case Ended():
                return [settled.emission]
            case Dealt():
                self._settling.write(send, person.with_entry(settled.entry))
                return [settled.emission]
        rule = waiting_rule(settled.reason, send, self._world, now, self._settings)
        waiting = self._outcomes.waiting(send, rule, now)
        lane: Lane = NEW
        if settled.until is not None:
            lane, send = TIMED, self._due(send, settled.until)
        row = pack(send, keep_slot=False)
        self._settling.write(send, person.with_entry(self._settling.first_entry(send)))
        self._room.put(lane, send, row)
        return [waiting]

    # ── returns ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _return(self, source: Source, value: bytes | None, now: datetime) -> list[Emission]:
        try:
            back = _decode_return(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return [dead_letter(source, value, "malformed", str(error))]
        send = back.send
        person = self._settling.person(send.tenant, send.recipient_id, now)
        entry = _current(person, back)
        if entry is None:
            self.counters["returns_ignored"] += 1
            return []
        if back.kind == "give_back":
            self._settling.write(send, person.with_entry(closed(entry, send)))
            return []
        send = self._due(send, back.due)
        row = pack(send, keep_slot=back.kind != "drained")
        self._settling.write(send, person.with_entry(msgspec.structs.replace(entry, stage=Stage.RETURNED)))
        self._room.put(RETURNED, send, row)
        return []

    def _due(self, send: Send, due: datetime) -> Send:
        """Due then, but no later than it expires, so that it ends in time."""
        campaign = self._world.campaigns.get(ids.campaign_key(send.tenant, send.campaign_id))
        return msgspec.structs.replace(send, due=min(due, expiry(send, campaign, self._settings)))


def _current(person: Person, back: Return) -> Entry | None:
    """The entry that this return is about, unless it was dealt with before."""
    entry = person.entry(back.send.send_id)
    return entry if entry and entry.deal == back.send.deal and entry.stage is Stage.DEALT else None
