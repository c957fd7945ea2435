"""R1 to R7 of the edge: each witness against the others, and all against the plan.  Pure.

A check's value is a number of faults with limit 0, unless its name says what is counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from streams.operate.chaos.edge import known, scene
from streams.operate.chaos.edge.blows import Blow
from streams.operate.chaos.edge.causes import RECEIVER, Found
from streams.operate.chaos.edge.people import EDITIONS, PlannedEvent
from streams.operate.chaos.edge.witnesses import Evidence, Place, Taken, Told
from streams.operate.proof.checks import Check, at_most, named

# Seconds from a suppression to its effect (DESIGN.md, G4).
SUPPRESSED_WITHIN_S: Final = 5.0
# What may stand in the receiver's log of a send that ended so.
_REACHED: Final = frozenset({"accepted", "uncertain"})


def of_evidence(planned: Sequence[PlannedEvent], seen: Evidence, blows: Sequence[Blow], found: Found) -> list[Check]:
    """All but what concerns the run itself."""
    return [
        _lost(seen),
        _duplicates_under_hold(planned, seen),
        _unexplained(found),
        _bound(blows, found),
        _one_each(found),
        _same_bytes(seen),
        _told_apart(seen),
        *known.of_journal(seen, blows, found),
        _zombies(seen, blows, found),
        _stalled(seen, found),
        _dropped(planned, seen),
        _capped(planned, seen),
        _uncapped(planned, seen),
        _suppressed(planned, seen),
        *_conservation(seen),
        _planned(planned, seen),
        _outcomes(planned, seen),
        _said_twice(seen),
        _rows(seen),
        _ends(seen),
    ]


def finals(seen: Evidence) -> dict[Place, list[Told]]:
    """The final outcomes of each recipient event, by its coordinates."""
    by_place: dict[Place, list[Told]] = defaultdict(list)
    for one in seen.told:
        if one.final:
            by_place[one.place].append(one)
    return by_place


def taken_by_send(seen: Evidence) -> dict[str, list[Taken]]:
    """The receiver's acceptances of each send."""
    by_send: dict[str, list[Taken]] = defaultdict(list)
    for one in seen.taken:
        by_send[one.send_id].append(one)
    return by_send


def _holds(campaign: str) -> bool:
    return scene.BY_KEY[campaign].on_uncertain == "hold"


# ── R1 to R3: killed, stopped, without a broker ──────────────────────────────────────────────────────────────────────


def _lost(seen: Evidence) -> Check:
    taken = taken_by_send(seen)
    accepted = [one for one in seen.told if one.type == "accepted"]
    lost = [f"{one.send_id} of {one.campaign}" for one in accepted if one.send_id not in taken]
    note = f"{len(accepted):,} accepted by our word, each in the receiver's log"
    return at_most("R1-R3 lost", len(lost), 0, named(lost) or note)


def _duplicates_under_hold(planned: Sequence[PlannedEvent], seen: Evidence) -> Check:
    held = {one.address for one in planned if _holds(one.campaign)}
    taken = {name: many for name, many in taken_by_send(seen).items() if many[0].recipient in held}
    twice = [f"{name} {len(many)} times" for name, many in taken.items() if len(many) > 1]
    return at_most("R1-R3 duplicates under hold", len(twice), 0, named(twice) or f"{len(taken):,} sends came once")


def _unexplained(found: Found) -> Check:
    what = Counter(one.what for one in found.charges)
    note = f"{what['duplicate']:,} duplicates, {what['uncertain']:,} uncertain, each on a connection that a blow ended"
    return at_most("R1-R5 nobody's duplicate or doubt", len(found.unexplained), 0, named(found.unexplained) or note)


def _bound(blows: Sequence[Blow], found: Found) -> Check:
    above = [
        f"{blow.name}: {len(found.charged(blow))} of {len(found.open[blow.number])} connections"
        for blow in blows
        if len(found.charged(blow)) > len(found.open[blow.number])
    ]
    open_ = sum(len(found.open[blow.number]) for blow in blows)
    note = f"{sum(len(found.charged(blow)) for blow in blows):,} of {open_:,} open connections"
    return at_most("R1-R3 blows with more than open connections", len(above), 0, named(above) or note)


def _one_each(found: Found) -> Check:
    charged = Counter(id(one.connection) for one in found.charges)
    several = [
        f"{one.connection.peer}:{one.connection.port} {charged[id(one.connection)]}"
        for one in found.charges
        if charged[id(one.connection)] > 1
    ]
    return at_most(
        "R1-R5 several on one connection", len(several), 0, named(several) or f"{len(charged):,} connections, one each"
    )


def _same_bytes(seen: Evidence) -> Check:
    by_send = taken_by_send(seen)
    ids: dict[str, set[str]] = defaultdict(set)
    for one in seen.taken:
        ids[one.send_id].add(one.message_id)
    differ = [name for name, many in by_send.items() if len({one.digest for one in many}) > 1 or len(ids[name]) > 1]
    again = sum(len(many) > 1 for many in by_send.values())
    note = f"{again:,} came again, Message-ID and bytes above the signature the same"
    return at_most("R1 sent again with other bytes", len(differ), 0, named(differ) or note)


def _told_apart(seen: Evidence) -> Check:
    """Of what the receiver took, we may not say that it did not go."""
    ends = {one.send_id: one for one in seen.told if one.final}
    wrong = [
        f"{name} {'without an end' if name not in ends else ends[name].type}"
        for name in taken_by_send(seen)
        if name not in ends or ends[name].type not in _REACHED
    ]
    note = f"{len({one.send_id for one in seen.taken}):,} sends taken, each accepted or uncertain by our word"
    return at_most("R1-R3 taken and told otherwise", len(wrong), 0, named(wrong) or note)


def _zombies(seen: Evidence, blows: Sequence[Blow], found: Found) -> Check:
    """What a stopped sender still finished after it went on, from IPs that others had taken meanwhile.

    Taken is an IP from which somebody sent on another connection while it stood still: a slot that nobody has fenced is
    the sender's own until then, however late.
    """
    faults: list[str] = []
    finished = taken = 0
    stops = [blow for blow in blows if blow.kind == "stop"]
    for blow in stops:
        replaced = {
            one.socket[0] for one in seen.taken if one.socket not in blow.open and blow.at < one.at <= blow.until
        }
        taken += len(replaced & {address for address, _ in blow.open})
        for connection in found.open[blow.number]:
            after = [  # of this connection: its port may be another's later
                one
                for one in seen.taken
                if one.socket == (connection.peer, connection.port)
                and blow.until < one.at <= connection.ended.timestamp()
            ]
            if connection.peer in replaced:
                finished += len(after)
                faults += [f"{blow.name}: {len(after)} on {connection.peer}:{connection.port}"] * (len(after) > 1)
    note = f"{finished:,} finished by {len(stops)} senders that went on after {taken:,} of their IPs were taken"
    return at_most("R3 zombies beyond one a connection", len(faults), 0, named(faults) or note)


# ── R4 to R6: receivers that stall and drop, caps, suppression ───────────────────────────────────────────────────────


def _stalled(seen: Evidence, found: Found) -> Check:
    taken = taken_by_send(seen)
    stalled = {one.send_id for one in seen.taken if one.outcome == "stall"}
    explained = Counter(one.send_id for one in found.charges if one.what == "duplicate" and one.cause != RECEIVER)
    again = [name for name in stalled if len(taken[name]) - 1 > explained[name]]
    return at_most("R4 stalled and sent again", len(again), 0, named(again) or f"{len(stalled):,} stalled, once each")


def _dropped(planned: Sequence[PlannedEvent], seen: Evidence) -> Check:
    held = {one.address for one in planned if _holds(one.campaign)}
    taken = taken_by_send(seen)
    ends = {one.send_id: one.type for one in seen.told if one.final}
    dropped = {one.send_id: one.recipient for one in seen.taken if one.outcome == "dropafter"}
    wrong = [
        f"{name} {ends.get(name)}, {len(taken[name])} times"
        for name, recipient in dropped.items()
        if (
            ends.get(name) != "uncertain"
            if recipient in held
            else ends.get(name) != "accepted" or len(taken[name]) == 1
        )
    ]
    return at_most(
        "R5 dropped after the dot and guessed",
        len(wrong),
        0,
        named(wrong) or f"{len(dropped):,} dropped: uncertain, or sent again",
    )


def _capped(planned: Sequence[PlannedEvent], seen: Evidence) -> Check:
    """Persons by what the receiver took; a message that came twice is one."""
    person = {one.address: one.key for one in planned}
    got: dict[str, set[str]] = defaultdict(set)
    for one in seen.taken:
        if one.recipient in person:
            got[person[one.recipient]].add(one.send_id)
    capped = {one.key for one in planned if one.kind == "marketing"}
    above = [f"{key} got {len(got[key])}" for key in sorted(capped) if len(got[key]) > scene.CAP_MAX]
    most = max((len(got[key]) for key in capped), default=0)
    return at_most(
        "R6 persons above their cap", len(above), 0, named(above) or f"{len(capped):,} persons, at most {most}"
    )


def _uncapped(planned: Sequence[PlannedEvent], seen: Evidence) -> Check:
    """Who was asked to get two more than the cap lets through, all of which could go, got no less either."""
    place = {one.number: one.place for one in seen.asked}
    ends = finals(seen)
    count: dict[str, Counter[str]] = defaultdict(Counter)
    for event in planned:
        if event.story == "capped":
            count[event.key].update(one.type for one in ends.get(place.get(event.number, ("", -1, -1)), ()))
    wrong = [f"{key} {dict(types)}" for key, types in count.items() if types["capped"] != EDITIONS - scene.CAP_MAX]
    note = f"{len(count):,} persons with {EDITIONS} mails: {scene.CAP_MAX} went, {EDITIONS - scene.CAP_MAX} were capped"
    return at_most("R6 a place lost or given back", len(wrong), 0, named(wrong) or note)


def _suppressed(planned: Sequence[PlannedEvent], seen: Evidence) -> Check:
    address_id = {one.person: one.address_id for one in seen.told}
    scope = {event.address: f"tenant:{scene.BY_KEY[event.campaign].tenant}" for event in planned}
    since: dict[str, float] = {}
    for event in planned:
        if event.story in {"suppressed", "leaving"} and event.person in address_id:
            at = seen.entered.get((scope[event.address], address_id[event.person]))
            if at is not None:
                since[event.address] = at if event.story == "leaving" else at - SUPPRESSED_WITHIN_S
    late = [
        f"{one.recipient} {one.at - since[one.recipient]:.1f} s after"
        for one in seen.taken
        if one.recipient in since and one.at > since[one.recipient] + SUPPRESSED_WITHIN_S
    ]
    return at_most(
        "R6 mail to the suppressed", len(late), 0, named(late) or f"{len(since):,} suppressed, none after 5 s"
    )


# ── R7: conservation, and ClickHouse ─────────────────────────────────────────────────────────────────────────────────


def _conservation(seen: Evidence) -> Iterator[Check]:
    ends = finals(seen)
    places: dict[str, set[Place]] = defaultdict(set)
    for one in seen.asked:
        places[one.campaign].add(one.place)
    named_by: dict[str, set[Place]] = defaultdict(set)
    for place, many in ends.items():
        for end in many:
            named_by[end.campaign].add(place)
    for campaign in sorted({*scene.BY_KEY, *places, *named_by}):
        asked = places[campaign]
        none = sum(place not in ends for place in asked)
        several = sum(len(ends[place]) > 1 for place in asked if place in ends)
        strange = len(named_by[campaign] - asked)
        note = f"{len(asked):,} events"
        if none or several or strange:
            note += f": {none:,} without an end, {several:,} with several, {strange:,} ends of no event"
        yield at_most(f"R7 conservation {campaign}", none + several + strange, 0, note)


def _planned(planned: Sequence[PlannedEvent], seen: Evidence) -> Check:
    there = Counter(one.number for one in seen.asked)
    faults = len({one.number for one in planned} ^ there.keys()) + sum(count - 1 for count in there.values())
    return at_most("events in Kafka as planned", faults, 0, f"{len(planned):,} planned, {there.total():,} in Kafka")


def _outcomes(planned: Sequence[PlannedEvent], seen: Evidence) -> Check:
    place = {one.number: one.place for one in seen.asked}
    ends = finals(seen)
    wrong: Counter[str] = Counter()
    for event in planned:
        got = [one.type for one in ends.get(place.get(event.number, ("", -1, -1)), ())]
        if len(got) != 1 or got[0] not in event.expected:
            wrong[f"{event.story}: {'+'.join(got) or 'nothing'}"] += 1
    words = named(f"{count:,} × {words}" for words, count in wrong.most_common())
    return at_most("outcomes as planned", wrong.total(), 0, words or f"{len(planned):,}, each as its story allows")


def _said_twice(seen: Evidence) -> Check:
    said = Counter(one.event_id for one in seen.told)
    twice = [name for name, count in said.items() if count > 1]
    return at_most("R7 facts said twice", len(twice), 0, named(twice) or f"{said.total():,} delivery events")


def _rows(seen: Evidence) -> Check:
    partitions = sorted(seen.records.keys() | seen.rows.keys())
    wrong = [
        f"partition {one}: Kafka {seen.records.get(one, (0, 0))[0]:,}, ClickHouse {seen.rows.get(one, (0, 0))[0]:,}"
        for one in partitions
        if seen.records.get(one) != seen.rows.get(one)
    ]
    note = f"{sum(count for count, _ in seen.rows.values()):,} rows, each record once"
    return at_most("ClickHouse = Kafka", len(wrong), 0, named(wrong) or note)


def _ends(seen: Evidence) -> Check:
    """What an analyst counts, against what the receiver took and events came in."""
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for one in seen.told:
        if one.final:
            told[one.campaign][one.type] += 1
    wrong = [
        f"{campaign}: {dict(seen.ends.get(campaign, {}))}, in Kafka {dict(told[campaign])}"
        for campaign in sorted({*told, *seen.ends})
        if dict(seen.ends.get(campaign, {})) != dict(told[campaign])
    ]
    total = sum(count.total() for count in seen.ends.values())
    return at_most("finals in ClickHouse by campaign", len(wrong), 0, named(wrong) or f"{total:,} final outcomes")


# ── the run itself ───────────────────────────────────────────────────────────────────────────────────────────────────


def of_run(blows: Sequence[Blow], *, asked_for: int, unasked: Sequence[str], left: int, started: int) -> list[Check]:
    """The blows were done, nothing else ended, nothing is left."""
    missed = [f"{blow.name}: {blow.missed}" for blow in blows if blow.missed]
    not_done = asked_for - len(blows) + len(missed)
    return [
        at_most("blows not done", not_done, 0, named(missed) or f"all {asked_for:,} as planned"),
        at_most("members that ended unasked", len(unasked), 0, named(unasked) or "none"),
        at_most("processes left", left, 0, f"{started:,} ran"),
    ]
