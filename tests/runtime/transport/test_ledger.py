"""What may be committed: never past an event that is not done, and never forgotten because a commit failed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.transport.ledger import Ledger, TopicPartition

AT = TopicPartition("t", 3)


def taken(ledger: Ledger, *offsets: int) -> None:
    """Take these events of one partition."""
    for offset in offsets:
        ledger.take(*AT, offset)


@given(st.data())
def test_committable_is_the_first_open_event_and_no_later(data: st.DataObject) -> None:
    """Whatever order events end in, with gaps between offsets, commits that succeed, fail, or come late."""
    ledger = Ledger()
    open_events: list[int] = []
    last_done = None
    offset = data.draw(st.integers(0, 1_000))
    for _ in range(data.draw(st.integers(1, 60))):
        match data.draw(st.sampled_from(["take", "done", "commit", "fail"])):
            case "take":
                offset += data.draw(st.integers(1, 5))
                taken(ledger, offset)
                open_events.append(offset)
            case "done" if open_events:
                finished = data.draw(st.sampled_from(open_events))
                ledger.done(*AT, finished)
                open_events.remove(finished)
                last_done = max(last_done or finished, finished)
            case "commit":
                ledger.committed(ledger.committable())
                assert ledger.committable() == {}
            case _:
                assert ledger.committable() == ledger.committable()  # asking changes nothing
        assert ledger.first_open(*AT) == (open_events[0] if open_events else None)
        may = ledger.committable().get(AT)
        assert may is None or not open_events or may <= open_events[0]
    for finished in open_events:
        ledger.done(*AT, finished)
    ledger.committed({AT: -1})  # an old commit's success, told late, must not hide what is done since
    assert ledger.committable() == ({} if last_done is None and not open_events else {AT: offset + 1})
    assert ledger.first_open(*AT) is None


def test_a_commit_that_failed_is_asked_for_again() -> None:
    """Only a commit that succeeded is not asked for again."""
    ledger = Ledger()
    taken(ledger, 5, 6)
    ledger.done(*AT, 5)
    assert ledger.committable() == {AT: 6}
    assert ledger.committable() == {AT: 6}
    ledger.committed({AT: 6})
    assert ledger.committable() == {}
    ledger.done(*AT, 6)
    assert ledger.committable() == {AT: 7}


def test_what_was_given_up_is_forgotten() -> None:
    """An event that ends after its partition was revoked moves nothing."""
    ledger = Ledger()
    taken(ledger, 1, 2)
    ledger.drop()
    ledger.done(*AT, 1)
    assert ledger.committable() == {}
    assert ledger.first_open(*AT) is None
