"""Looks into the waiting room: soon enough after anything happens, never in a spin."""

from datetime import timedelta

from streams.gate.looks import LONGEST, MOST, SPACE, Looks
from tests.gate.builders import NOW

MS = timedelta(milliseconds=1)


def test_the_first_look_is_at_once_and_an_idle_one_comes_four_times_a_second() -> None:
    """Nothing waits or comes: LONGEST between two."""
    looks = Looks()
    assert looks.due(NOW) and looks.again is None
    looks.looked(NOW, None)
    assert not looks.due(NOW + LONGEST - MS) and looks.due(NOW + LONGEST)


def test_what_wakes_is_looked_at_when_it_does_but_not_in_a_spin() -> None:
    """Credit in 150 ms: then; credit each millisecond: each SPACE."""
    looks = Looks()
    looks.looked(NOW, NOW + 150 * MS)
    assert looks.again == NOW + 150 * MS
    looks.looked(NOW, NOW + MS)
    assert looks.again == NOW + SPACE
    looks.looked(NOW, NOW + timedelta(days=1))
    assert looks.again == NOW + LONGEST


def test_a_look_that_costs_more_is_taken_more_seldom() -> None:
    """A thousand lines: five a second; a hundred thousand that somebody made up: each five seconds."""
    looks = Looks()
    looks.looked(NOW, NOW, lines=1_000)
    assert looks.again == NOW + 200 * MS
    looks.came()
    assert looks.again == NOW + 200 * MS
    looks.looked(NOW, NOW, lines=10_000)
    assert looks.again == NOW + 1_100 * MS
    looks.looked(NOW, None, lines=100_000)
    assert looks.again == NOW + MOST


def test_what_comes_is_looked_at_within_a_space() -> None:
    """A return that is due, or a mail that waits for a token."""
    looks = Looks()
    looks.came()
    looks.looked(NOW, None)
    looks.came()
    assert looks.again == NOW + SPACE


def test_a_full_release_is_followed_at_once_and_a_clock_set_back_stops_nothing() -> None:
    """There is more to do, and nobody waits for yesterday's noon to come again."""
    looks = Looks()
    looks.looked(NOW, None)
    looks.at_once()
    assert looks.due(NOW)
    looks.looked(NOW, None)
    assert looks.due(NOW - timedelta(hours=1))
