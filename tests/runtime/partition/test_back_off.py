"""How an outbox waits between transactions that are aborted one after another."""

from streams.runtime.partition.outbox import BACK_OFF_S, back_off_s


def test_it_doubles_and_ends_at_the_longest_however_often_it_aborts() -> None:
    """A suppression that can't be written for hours ends no worker: the wait stays what it is."""
    first, longest = BACK_OFF_S
    assert [back_off_s(aborts) for aborts in range(4)] == [first, 2 * first, 4 * first, 8 * first]
    assert {back_off_s(aborts) for aborts in (6, 1_023, 1_024, 100_000)} == {longest}
