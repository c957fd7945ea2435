"""What a person's record keeps, and what it may forget."""

import pytest

from schemas import ids
from streams.gate.person import ENTRIES, Entry, Person, Stage, dump, load, table_key
from tests.gate.builders import Scene, recipient

HOUR = 3_600_000


def entry(name: str, **fields: object) -> Entry:
    """An entry dealt at 0 and kept until one hour."""
    made: dict[str, object] = {
        "send_id": name,
        "campaign_id": "autumn",
        "cap_class": "m",
        "counts": True,
        "stage": Stage.DEALT,
        "deal": 1,
        "dealt_ms": 0,
        "keep_ms": HOUR,
        "slot": 3,
        "source_topic": "recipients.marketing",
        "source_partition": 0,
        "source_offset": 1,
    }
    return Entry(**(made | fields))  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("fields", "window_ms", "largest_cap", "kept"),
    [
        ({}, 0, 0, False),
        ({"keep_ms": 2 * HOUR + 1}, 0, 0, True),
        ({}, 2 * HOUR + 1, 0, True),
        ({}, 2 * HOUR, 0, False),
        ({"counts": False}, 9 * HOUR, 0, False),
        ({"stage": Stage.WAITING, "counts": False}, 0, 0, True),
        ({"stage": Stage.RETURNED}, 0, 0, True),
        ({}, 0, 1, True),
    ],
)
def test_an_entry_is_kept_while_something_needs_it(
    fields: dict[str, object], window_ms: int, largest_cap: int, kept: bool
) -> None:
    """Its own term, a window that reaches it, a row that waits, or its being among the newest of a cap's number."""
    person = Person((entry("a", **fields),)).pruned(2 * HOUR, window_ms=window_ms, largest_cap=largest_cap)
    assert bool(person.entries) is kept


def test_what_is_past_its_term_counts_in_a_wider_window_and_nowhere_else() -> None:
    """Kept for its cap's number alone: its send id is free, and no return is about it."""
    (kept,) = Person((entry("a"),)).pruned(2 * HOUR, window_ms=0, largest_cap=1).entries
    assert (kept.send_id, kept.stage) == ("", Stage.CLOSED)
    assert (kept.counts, kept.cap_class, kept.dealt_ms) == (True, "m", 0)
    assert Person((kept,)).over(2 * HOUR, window_ms=2 * HOUR)
    assert not Person((kept,)).over(2 * HOUR, window_ms=2 * HOUR + 1)


def test_a_record_never_outgrows_its_changelog() -> None:
    """An address with thousands of mails forgets its oldest finished ones, not those that wait or count."""
    entries = [entry(f"{number:032x}", keep_ms=99 * HOUR, counts=number % 100 == 0) for number in range(ENTRIES + 500)]
    person = Person(tuple(entries)).pruned(HOUR, window_ms=5 * HOUR, largest_cap=0)
    assert len(person.entries) == ENTRIES - 1
    assert {one.send_id for one in entries if one.counts} <= {one.send_id for one in person.entries}
    assert len(dump(person)) < 900_000
    assert load(dump(person)) == person


def test_a_person_whose_mails_all_wait_gets_no_more() -> None:
    """Where nothing may be forgotten the next event ends `rejected`, naming the limit; another person is free."""
    scene = Scene()
    waiting = tuple(entry(f"{number:032x}", stage=Stage.WAITING, counts=False) for number in range(ENTRIES))
    scene.tables.put(table_key("acme:u1"), dump(Person(waiting)))
    (final,) = scene.ask().finals
    assert (final.type, final.rules[0].rule, final.rules[0].limit) == ("rejected", "person", str(ENTRIES))
    assert final.send_id == ids.send_id(recipient())
    assert len(scene.ask("u2").sends) == 1
