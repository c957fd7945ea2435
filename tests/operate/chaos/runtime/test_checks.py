"""The auditor of a chaos run: silent on a right run, and loud on each way in which one can be wrong."""

from __future__ import annotations

import msgspec

from streams.operate.chaos.commits import stale_answers
from streams.operate.chaos.runtime import checks, events
from streams.operate.chaos.runtime.evidence import Evidence
from streams.runtime.commit_log import Commit
from tests.operate.chaos.runtime.builders import (
    EVENTS,
    PARTITIONS,
    good,
    short,
    with_committed,
    with_effect_of,
    with_effect_twice,
    with_log_back,
    with_stable,
    without_effect,
)

LOST, DOUBLED, STRANGE = "events without an effect", "events with several effects", "effects of no event"
ENTRY, TABLE = "effects with another entry than the model's", "table entries that differ from the model"
AHEAD, LATE, BACK = "commits ahead of an unfinished event", "effects shown late", "commits that went back"
PLAIN_LOST, PLAIN_STRANGE = "plain events without an effect", "plain effects of no event"
PLAIN_AHEAD, PLAIN_BACK = "plain commits ahead of an effect", "plain commits that went back"
UNTOLD, PLAIN_UNTOLD = "offsets that the log tells otherwise", "plain offsets that the log tells otherwise"
PLAIN_END = "plain partitions not committed to their end"
END, ASKED = "partitions not committed to their end", "events in Kafka as planned"


def failed(evidence: Evidence, *, planned: int = EVENTS) -> dict[str, float]:
    """The checks that fail, with the number of faults."""
    return {one.name: one.value for one in checks.of_evidence(evidence, planned=planned) if not one.ok}


def test_a_right_run_passes_every_check() -> None:
    """Also where events waited in the table, and where samples fall between a batch's parts."""
    assert failed(good()) == {}
    assert any(events.waits(one.effect.number) for one in good().found)


def test_a_lost_event_is_found_and_named() -> None:
    """By its coordinates."""
    assert failed(without_effect(good(), 7)) == {LOST: 1}
    lost = next(one for one in checks.of_evidence(without_effect(good(), 7), planned=EVENTS) if one.name == LOST)
    assert lost.note == "recipients.marketing[1]@2"


def test_a_doubled_event_is_found() -> None:
    """Even where both effects say the same."""
    assert failed(with_effect_twice(good(), 9)) == {DOUBLED: 1}


def test_an_effect_of_no_event_is_found() -> None:
    """Whatever made it."""
    assert failed(with_effect_of(good(), 10_000)) == {STRANGE: 1}


def test_an_event_that_was_counted_twice_in_the_table_is_found() -> None:
    """One effect, and the person's entry one too high."""
    evidence = good()
    key, value = next(iter(evidence.table.items()))
    count, chain = events.parsed(value)
    wrong = dict(evidence.table) | {key: events.entry(count + 1, chain)}
    assert failed(msgspec.structs.replace(evidence, table=wrong)) == {TABLE: 1}


def test_an_entry_that_the_table_lacks_is_found() -> None:
    """A changelog record that was lost with its transaction."""
    evidence = good()
    wrong = dict(evidence.table)
    wrong.popitem()
    assert failed(msgspec.structs.replace(evidence, table=wrong)) == {TABLE: 1}


def test_events_decided_out_of_order_are_found() -> None:
    """The chain of a person's numbers says in which order they were decided."""
    evidence = good()
    found = list(evidence.found)
    wrong = msgspec.structs.replace(found[3].effect, chain="0" * 16)
    found[3] = msgspec.structs.replace(found[3], effect=wrong)
    assert failed(msgspec.structs.replace(evidence, found=tuple(found))) == {ENTRY: 1}


def test_a_commit_ahead_of_an_unfinished_event_is_found() -> None:
    """In any one sample, though all is well at the end."""
    evidence = good()
    wrong = with_committed(evidence.offsets, sample=20, ahead=1)
    found = failed(msgspec.structs.replace(evidence, offsets=wrong))
    assert found.keys() == {AHEAD}
    assert found[AHEAD] <= 2 * PARTITIONS


def test_a_commit_that_went_back_is_found_however_soon_the_next_one_is_higher() -> None:
    """One step down in the broker's log is one fault, of either kind of workers."""
    evidence = good()
    wrong = msgspec.structs.replace(evidence, offsets=with_log_back(evidence.offsets, commit=200))
    assert failed(wrong) == {BACK: 1}
    wrong = msgspec.structs.replace(evidence, plain_offsets=with_log_back(evidence.plain_offsets, commit=20))
    assert failed(wrong) == {PLAIN_BACK: 1}


def test_an_offset_that_was_taken_away_went_back() -> None:
    """A successor would begin at the head."""
    evidence = good()
    place = evidence.offsets.log[-1].place
    gone = (*evidence.offsets.log, Commit(place=place, offset=None), evidence.offsets.log[-1])
    assert failed(msgspec.structs.replace(evidence, offsets=msgspec.structs.replace(evidence.offsets, log=gone))) == {
        BACK: 1
    }


def test_a_coordinator_that_tells_an_old_offset_for_a_moment_set_nothing_back() -> None:
    """A broker that reads its log in again answers what it has read so far: counted, and no fault."""
    evidence = good()
    stale = with_committed(evidence.offsets, sample=40, ahead=-9)
    assert failed(msgspec.structs.replace(evidence, offsets=stale)) == {}
    assert stale_answers(stale) == 2 * PARTITIONS
    assert stale_answers(evidence.offsets) == 0


def test_a_log_without_the_last_commits_proves_nothing() -> None:
    """Nothing can go back in a log that was not read."""
    evidence = good()
    unread = msgspec.structs.replace(evidence.offsets, log=())
    assert failed(msgspec.structs.replace(evidence, offsets=unread)) == {UNTOLD: 2 * PARTITIONS}


def test_a_commit_of_a_lost_event_is_no_commit_ahead_of_others() -> None:
    """What has no effect at all is counted as lost, once."""
    assert failed(without_effect(good(), 11)).keys() == {LOST}


def test_effects_that_readers_never_see_in_time_are_found() -> None:
    """Written, its offset committed, and hidden behind an open transaction for longer than readers may wait."""
    evidence = good()
    wrong = with_stable(evidence.offsets, {(events.OUTPUT, partition): 1 for partition in range(PARTITIONS)})
    assert failed(msgspec.structs.replace(evidence, offsets=wrong)).keys() == {LATE}


def test_a_source_not_committed_to_its_end_is_found() -> None:
    """Something was never taken, or never done."""
    evidence = good()
    wrong = msgspec.structs.replace(
        evidence, offsets=short(evidence.offsets), plain_offsets=short(evidence.plain_offsets)
    )
    assert failed(wrong) == {
        END: 2 * PARTITIONS,
        UNTOLD: 2 * PARTITIONS,
        PLAIN_END: PARTITIONS,
        PLAIN_UNTOLD: PARTITIONS,
    }


def test_a_plain_event_without_an_effect_is_found_and_one_with_two_is_not() -> None:
    """At least once is what a plain agent promises."""
    evidence = good()
    twice = (*evidence.plain_found, msgspec.structs.replace(evidence.plain_found[3], offset=1_000))
    assert failed(msgspec.structs.replace(evidence, plain_found=twice)) == {}
    assert failed(msgspec.structs.replace(evidence, plain_found=evidence.plain_found[1:])) == {PLAIN_LOST: 1}


def test_a_plain_effect_of_no_event_is_found() -> None:
    """It names coordinates that hold another event."""
    evidence = good()
    wrong = msgspec.structs.replace(evidence.plain_found[3], number=999, offset=1_000)
    assert failed(msgspec.structs.replace(evidence, plain_found=(*evidence.plain_found, wrong))) == {PLAIN_STRANGE: 1}
    assert failed(msgspec.structs.replace(evidence, plain_asked=dict(list(evidence.plain_asked.items())[1:]))) == {
        PLAIN_STRANGE: 1
    }


def test_a_plain_commit_ahead_of_its_effect_is_found() -> None:
    """The agent acked before its record was durable."""
    evidence = good()
    wrong = with_committed(evidence.plain_offsets, sample=20, ahead=1)
    found = failed(msgspec.structs.replace(evidence, plain_offsets=wrong))
    assert found == {PLAIN_AHEAD: PARTITIONS}


def test_events_that_never_reached_kafka_are_found() -> None:
    """The run proves nothing about events that were not there."""
    assert failed(good(), planned=EVENTS + 3) == {ASKED: 3}
