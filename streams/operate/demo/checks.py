"""The evidence against the plan, and each witness against the others.  Pure.

A check's value is a number of faults with limit 0, but for the spread, which has a bound.  Its note says what was
compared, or what is wrong.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from schemas.events import Send
from streams.operate.demo import scene
from streams.operate.demo.evidence import Evidence, Place
from streams.operate.demo.plan import Plan
from streams.operate.demo.signatures import Verified
from streams.operate.proof import warehouse, weights
from streams.operate.proof.checks import Check, at_most
from streams.spread.check import WINDOW_BOUND, Segment, window_deviations, worst_window_deviation

# Differences that a note names.
_NAMED: Final = 3

Group = tuple[int, str, str]  # gate partition, pool, provider


def of_evidence(plan: Plan, evidence: Evidence) -> list[Check]:
    """Everything but signatures and processes."""
    return [
        *_conservation(evidence),
        _asked(plan, evidence),
        _outcomes(plan, evidence),
        *_spread(evidence),
        _own_slot(evidence),
        _dead_letters(plan, evidence),
        warehouse.same(evidence.records, evidence.rows),
        _receiver(evidence),
        _suppressed(plan, evidence),
    ]


def finals(evidence: Evidence) -> dict[Place, list[str]]:
    """The final outcomes of each recipient event, by its coordinates."""
    found: dict[Place, list[str]] = defaultdict(list)
    for delivery in evidence.deliveries:
        if delivery.final:
            place = (delivery.source_topic, delivery.source_partition, delivery.source_offset)
            found[place].append(delivery.type)
    return found


def _conservation(evidence: Evidence) -> Iterator[Check]:
    """Recipient events by Kafka's own coordinates, against the finals that name them: exactly one each."""
    found = finals(evidence)
    places: dict[str, set[Place]] = {mailing.key: set() for mailing in scene.MAILINGS}
    for asked in evidence.asked:
        places.setdefault(asked.campaign, set()).add(asked.place)
    named: dict[str, Counter[Place]] = defaultdict(Counter)
    for delivery in evidence.deliveries:
        if delivery.final:
            place = (delivery.source_topic, delivery.source_partition, delivery.source_offset)
            named[f"{delivery.tenant}:{delivery.campaign_id}"][place] += 1
    for campaign in places.keys() | named.keys() if named.keys() - places.keys() else places:
        events, ends = places.get(campaign, set()), named[campaign]
        none = sum(place not in found for place in events)
        many = sum(count > 1 for count in ends.values())
        strange = len(ends.keys() - events)
        note = f"{len(events):,} events, {ends.total():,} final outcomes"
        if none or many or strange:
            note += f": {none:,} without one, {many:,} with several, {strange:,} of no event"
        yield at_most(f"conservation {campaign}", none + many + strange, 0, note)


def _asked(plan: Plan, evidence: Evidence) -> Check:
    planned = {event.number for event in plan.events if event.expected is not None}
    there = Counter(asked.event for asked in evidence.asked)
    faults = len(planned ^ there.keys()) + sum(count - 1 for count in there.values())
    return at_most("events in Kafka as planned", faults, 0, f"{len(planned):,} planned, {there.total():,} in Kafka")


def _outcomes(plan: Plan, evidence: Evidence) -> Check:
    """Each as planned; of one person's editions, which wait together, any may be those that the cap lets through."""
    found = finals(evidence)
    place_of = {asked.event: asked.place for asked in evidence.asked}
    wrong: Counter[str] = Counter()
    editions: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for event in plan.events:
        if event.expected is None:
            continue
        ends = "+".join(found.get(place_of.get(event.number, ("", -1, -1)), [])) or "nothing"
        if event.story == "capped":
            editions[event.campaign, event.key].append((event.expected, ends))
        elif ends != event.expected:
            wrong[f"{event.story}: {event.expected}, not {ends}"] += 1
    for pairs in editions.values():
        asked, got = Counter(expected for expected, _ in pairs), Counter(ends for _, ends in pairs)
        for ends, count in (got - asked).items():
            wrong[f"capped: {ends}, not {'+'.join(asked - got)}"] += count
    note = f"{plan.finals:,} outcomes, each as its story asks"
    if wrong:
        note = "; ".join(f"{count:,} × {words}" for words, count in wrong.most_common(_NAMED))
    return at_most("outcomes as planned", wrong.total(), 0, note)


def _spread(evidence: Evidence) -> Iterator[Check]:
    groups = dealt(evidence)
    versions = {send.weights_version for sends in groups.values() for send in sends}
    unknown = len(versions) - len(weights.named(versions, declared()))
    note = f"{len(versions)} sets of weights: as declared, or with IPs left out or lowered"
    yield at_most("weights that nothing explains", unknown, 0, note)
    note = f"{len(groups):,} sequences; IPs drawn at random: {shuffled(groups):.1f}"
    yield at_most("spread in any window", round(deviation(groups), 3), WINDOW_BOUND, note)


def dealt(evidence: Evidence) -> dict[Group, list[Send]]:
    """The sends that were dealt anew, in the order of their dealing, by gate partition, pool and provider.

    A retry on its own IP is none of them (weights version 0).
    """
    groups: dict[Group, list[Send]] = defaultdict(list)
    for send in evidence.sends:
        if send.weights_version:
            groups[(send.gate_partition, send.pool, send.provider)].append(send)
    for sends in groups.values():
        sends.sort(key=lambda send: send.turn)
    return groups


def deviation(groups: dict[Group, list[Send]]) -> float:
    """How far any window of any of these strays from the IPs' shares, less one for each change of weights in it.

    Each deal counts against the shares that its version of the weights names; what names none, against those declared.
    """
    known = weights.named({send.weights_version for sends in groups.values() for send in sends}, declared())
    worst = 0.0
    for sends in groups.values():
        segments = [
            Segment([send.slot for send in run], known.get(version, declared()))
            for version, run in groupby(sends, key=lambda send: send.weights_version)
        ]
        between = max(max(window_deviations([one]).values()) for one in segments)
        over = max(window_deviations(segments).values()) - (len(segments) - 1)
        worst = max(worst, between, over)
    return worst


def shuffled(groups: dict[Group, list[Send]]) -> float:
    """The same for IPs drawn at random: what the bound is worth."""
    chance = random.Random(0)  # noqa: S311  # a comparison, not a secret
    shares = declared()
    slots = list(shares)
    drawn = (worst_window_deviation(chance.choices(slots, k=len(sends)), shares) for sends in groups.values())
    return max(drawn, default=0.0)


def declared() -> dict[int, float]:
    """The IPs and their weights, as upstream declared them."""
    return {slot.slot: slot.weight for slot in scene.egress()}


def _own_slot(evidence: Evidence) -> Check:
    slots: dict[str, set[int]] = defaultdict(set)
    retries = 0
    for send in evidence.sends:
        slots[send.send_id].add(send.slot)
        retries += send.deal > 1
    strayed = sum(len(used) > 1 for used in slots.values())
    return at_most("retries from another IP", strayed, 0, f"{retries:,} retries, each from the IP it had")


def _dead_letters(plan: Plan, evidence: Evidence) -> Check:
    broken = sum(event.expected is None for event in plan.events)
    faults = abs(evidence.dead_letters - broken) + abs(evidence.unnamed - broken)
    note = f"{broken:,} events name no campaign, {evidence.dead_letters:,} letters"
    return at_most("dead letters", faults, 0, note)


def _receiver(evidence: Evidence) -> Check:
    accepted = Counter(delivery.send_id for delivery in evidence.deliveries if delivery.type == "accepted")
    wrong = sum(accepted[name] != evidence.taken[name] for name in accepted.keys() | evidence.taken.keys())
    note = f"{accepted.total():,} accepted, {evidence.taken.total():,} Message-IDs in the log"
    return at_most("accepted = receiver's log", wrong, 0, note)


def _suppressed(plan: Plan, evidence: Evidence) -> Check:
    note = f"{len(plan.barred):,} addresses, the receiver heard of none"
    touched = len(plan.barred & evidence.touched)
    if touched:
        note = f"{touched:,} of {len(plan.barred):,} suppressed addresses were tried"
    return at_most("mail to the suppressed", touched, 0, note)


def of_signatures(verified: Verified) -> list[Check]:
    """The sample must verify, and there must be one."""
    found = [_signed("dkimpy", verified.dkimpy, verified.sampled)]
    if verified.opendkim is not None:
        found.append(_signed("OpenDKIM", verified.opendkim, verified.sampled))
    return found


def _signed(verifier: str, passed: int, sampled: int) -> Check:
    failed = sampled - passed if sampled else 1
    return at_most(f"signatures by {verifier}", failed, 0, f"{passed:,} of {sampled:,} messages as received")
