"""Whether a run was right: Kafka, ClickHouse, the sink and dkimpy against the events made anew from their numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from schemas.events import Delivery
from schemas.topics import DELIVERIES, RECIPIENTS_MARKETING
from streams.compose.dkim import load_key, public_record
from streams.operate.bench import mailing
from streams.operate.bench.pipeline import scene
from streams.operate.bench.pipeline.work import Plan
from streams.operate.bench.took import Took
from streams.operate.proof import signatures, warehouse
from streams.operate.proof.checks import Check, at_most, named
from streams.operate.proof.warehouse import Sums
from streams.runtime import scratch_topics
from streams.runtime.cluster import read_settled
from streams.runtime.settings import Settings

Place = tuple[int, int]  # partition, offset of a recipient event


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the witnesses say.

    `finals` are (person, outcome, the event's place); `ends` the events' topic by partition; `waited` how many events
    were told to wait first; `records` and `rows` the delivery events of Kafka and ClickHouse.
    """

    finals: tuple[tuple[str, str, Place], ...]
    ends: Mapping[int, int]
    waited: int
    records: Sums
    rows: Sums
    took: Took
    counted: int


def gather(settings: Settings, took: Took, *, counted: int) -> Evidence:
    """Read it all."""
    finals: list[tuple[str, str, Place]] = []
    places: list[Place] = []
    waited = 0
    decode = msgspec.json.Decoder(Delivery).decode
    for record in read_settled(settings, DELIVERIES):
        places.append((record.partition, record.offset))
        one = decode(record.value or b"")
        waited += one.type == "waiting"
        if one.final:
            finals.append((one.recipient_id, one.type, (one.source_partition, one.source_offset)))
    return Evidence(
        finals=tuple(finals),
        ends=scratch_topics.ends(settings, settings.topic(RECIPIENTS_MARKETING.name)),
        waited=waited,
        records=warehouse.records(places),
        rows=warehouse.rows(settings),
        took=took,
        counted=counted,
    )


def checks(settings: Settings, evidence: Evidence, planned: Plan) -> list[Check]:
    """Everything that must be right."""
    record = public_record(load_key(settings.key_root, mailing.KEY_FILE)).encode()
    return [
        conserved(evidence),
        as_asked(evidence, planned.events),
        at_the_sink(evidence, planned.events),
        signed(evidence.took.sample, record) if planned.signed else unsigned(evidence.took.sample),
        warehouse.same(evidence.records, evidence.rows),
    ]


def conserved(evidence: Evidence) -> Check:
    """Each event, by its own coordinates, has one final outcome."""
    there = {(partition, offset) for partition, end in evidence.ends.items() for offset in range(end)}
    named_by = Counter(place for _, _, place in evidence.finals)
    none, many = len(there - named_by.keys()), sum(count > 1 for count in named_by.values())
    strange = len(named_by.keys() - there)
    note = f"{len(there):,} events, {len(evidence.finals):,} final outcomes"
    if none or many or strange:
        note += f": {none:,} without one, {many:,} with several, {strange:,} of no event"
    return at_most("events without their one end", none + many + strange, 0, note)


def as_asked(evidence: Evidence, events: int) -> Check:
    """Each person's outcomes are those that its events must have: accepted once, duplicate, capped, suppressed."""
    found: dict[str, Counter[str]] = {}
    for person, outcome, _ in evidence.finals:
        found.setdefault(person, Counter())[outcome] += 1
    wanted = scene.outcomes(events)
    wrong = [
        f"{person}: {_ends(found.get(person))}, not {_ends(wanted.get(person))}"
        for person in sorted(found.keys() | wanted.keys())
        if found.get(person) != wanted.get(person)
    ]
    of_all: Counter[str] = sum(wanted.values(), Counter())
    right = ", ".join(f"{count:,} {outcome}" for outcome, count in of_all.most_common())
    return at_most("persons with other outcomes", len(wrong), 0, named(wrong) or right)


def at_the_sink(evidence: Evidence, events: int) -> Check:
    """Each person's mail is there once, nobody else's is, and the sink counted no more."""
    wanted = {one.recipient.to.address for one in scene.asked(events) if one.ends == "accepted"}
    addresses = evidence.took.addresses
    wrong = [
        f"{one}: {addresses[one]}" for one in sorted(wanted | addresses.keys()) if addresses[one] != (one in wanted)
    ]
    off = abs(evidence.counted - len(wanted))
    note = f"{len(wanted):,} persons, {evidence.counted:,} messages counted"
    return at_most("mail lost, doubled or unasked", len(wrong) + off, 0, f"{note}: {named(wrong)}" if wrong else note)


def signed(sample: Iterable[bytes], record: bytes) -> Check:
    """The sample's signatures, by dkimpy; there must be one."""
    verdicts = [signatures.passes(message, lambda *_, **__: record) for message in sample]
    passed = sum(verdicts)
    note = f"{passed:,} of {len(verdicts):,} messages as received"
    return at_most("signatures by dkimpy", len(verdicts) - passed if verdicts else 1, 0, note)


def unsigned(sample: Iterable[bytes]) -> Check:
    """That a figure without DKIM is one."""
    borne = [b"dkim-signature:" in message.partition(b"\r\n\r\n")[0].lower() for message in sample]
    return at_most(
        "signed in spite of --no-dkim", sum(borne) if borne else 1, 0, f"{len(borne):,} messages as received"
    )


def _ends(outcomes: Counter[str] | None) -> str:
    return "+".join(sorted((outcomes or Counter()).elements())) or "nothing"
