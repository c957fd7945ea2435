"""A misplaced event reaches its partition once, and its outcome carries the coordinates that upstream wrote."""

import msgspec

from schemas import ids
from streams.gate.desk import Emission, Source
from streams.gate.origin import MAC_HEADER, ORIGIN_HEADER
from streams.runtime.dead_letters import Failure
from tests.gate.builders import MARKETING, Heard, Scene, event, heard

P = 4
HOME = ids.partition_for(b"acme:u1", P)
AWAY = (HOME + 1) % P


def at(partition: int) -> Scene:
    """A desk at one of four partitions."""
    return Scene(partitions=P, partition=partition)


def arrive(scene: Scene, record: Emission, offset: int = 70) -> Heard:
    """The forwarded record, read at its partition."""
    assert record.partition is not None
    source = Source(
        topic=record.topic, partition=scene.partition, offset=offset, key=record.key, headers=record.headers
    )
    return heard(scene.desk.receive(source, record.value, scene.now))


def test_a_misplaced_event_is_forwarded_with_its_coordinates() -> None:
    """The same bytes under the right key; the send at home names the original record."""
    away = at(AWAY)
    out = away.ask(offset=41)
    (record,) = out.forwarded
    assert (record.topic, record.key, record.partition, record.value) == (MARKETING, b"acme:u1", HOME, event())
    assert record.headers[ORIGIN_HEADER] == f"{MARKETING}/{AWAY}/41".encode()
    assert not out.sends and not out.deliveries and not away.tables.rows
    (send,) = arrive(at(HOME), record).sends
    assert (send.source_topic, send.source_partition, send.source_offset) == (MARKETING, AWAY, 41)


def test_a_forwarded_event_read_twice_is_a_replay() -> None:
    """The original coordinates, not the copy's, tell whether it was seen."""
    home = at(HOME)
    (record,) = at(AWAY).ask(offset=41).forwarded
    arrive(home, record, offset=70)
    out = arrive(home, record, offset=71)
    assert not out.sends and not out.deliveries and home.desk.counters["replayed"] == 1


def test_a_wrong_or_missing_key_at_the_right_partition_needs_no_journey() -> None:
    """The body's key counts: an unkeyed event that landed at home is dealt there."""
    for key in (None, b"something else"):
        home = at(HOME)
        out = heard(home.desk.receive(home.source(key=key), event(), home.now))
        assert len(out.sends) == 1 and not out.forwarded


def test_a_header_that_is_not_ours_is_as_good_as_none() -> None:
    """Claimed coordinates without a seal over these bytes don't count, in any form."""
    (record,) = at(AWAY).ask(offset=41).forwarded
    origin, seal = record.headers[ORIGIN_HEADER], record.headers[MAC_HEADER]
    other = event(variables={"name": "x"})
    for value, headers in (
        (record.value, {ORIGIN_HEADER: origin}),
        (record.value, {ORIGIN_HEADER: origin, MAC_HEADER: b"0" * 32}),
        (record.value, {ORIGIN_HEADER: b"\xff/a/b", MAC_HEADER: seal}),
        (record.value, {ORIGIN_HEADER: origin.replace(b"41", b"42"), MAC_HEADER: seal}),
        (other, record.headers),
    ):
        home = at(HOME)
        (send,) = heard(home.desk.receive(home.source(offset=9, headers=headers), value, home.now)).sends
        assert (send.source_partition, send.source_offset) == (HOME, 9)


def test_an_event_goes_on_a_journey_once() -> None:
    """A copy of a forwarded record at yet another partition ends there, named and kept; a forged one goes."""
    (record,) = at(AWAY).ask(offset=41).forwarded
    third = at((HOME + 2) % P)
    out = arrive(third, record, offset=3)
    assert (out.types, out.finals[0].source_partition, out.finals[0].source_offset) == (
        ["rejected"],
        third.partition,
        3,
    )
    assert out.letters[0].headers["reason"] == b"forwarded before" and not out.forwarded
    forged = third.source(headers={ORIGIN_HEADER: b"recipients.marketing/0/0"})
    assert len(heard(third.desk.receive(forged, event(), third.now)).forwarded) == 1


def test_an_event_that_is_invalid_ends_where_it_stands() -> None:
    """No journey for what can't be decoded."""
    out = at(AWAY).ask(to={"address": 5})
    assert out.types == ["invalid"] and not out.forwarded


def test_an_internal_error_at_home_names_the_original_record() -> None:
    """The final `rejected` of a forwarded event counts for the record that upstream wrote."""
    (record,) = at(AWAY).ask(offset=41).forwarded
    home = at(HOME)
    source = Source(topic=MARKETING, partition=HOME, offset=70, key=record.key, headers=record.headers)
    final = heard(home.desk.reject(source, record.value, home.now, Failure(error=KeyError("x")))).finals[0]
    assert (final.source_partition, final.source_offset) == (AWAY, 41)
    assert final.event_id == ids.source_event_id(MARKETING, AWAY, 41, "final")
    assert msgspec.json.decode(record.value)["recipient_id"] == "u1"
