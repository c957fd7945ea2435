"""What a slot reads back: done is skipped, an outcome is redone, an intent alone is in doubt, anything else is new."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Checkpoint, Intent, Lane, Outcome
from streams.delivery import outcomes
from streams.delivery.journal import LaneBook, decode, record_key, remembered
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.smtp import Result
from tests.compose.builders import NOW, send

LANE: Final = "sends.marketing"
SETTINGS: Final = OutcomeSettings(address_key=b"k" * 32)
ACCEPTED: Final = Result(disposition="accepted", class_="accepted", smtp_code=250, stage="dot", via="")


def intent(offset: int, *, deal: int = 1) -> Intent:
    """The intent of the send at this offset."""
    one = _send(offset, deal=deal)
    return Intent(
        send_id=one.send_id,
        deal=deal,
        attempt=1,
        content=one.content,
        connection="mx/1",
        lane=LANE,
        offset=offset,
        at=NOW,
    )


def outcome(offset: int, *, deal: int = 1) -> Outcome:
    """The outcome of the send at this offset."""
    found = outcomes.concluded(_send(offset, deal=deal), ACCEPTED, NOW, SETTINGS, jitter=0)
    return msgspec.structs.replace(found, lane=LANE, offset=offset)


def _send(offset: int, *, deal: int = 1) -> "outcomes.Send":
    return msgspec.structs.replace(send(slot=0), send_id=f"{offset:032x}", deal=deal)


def test_records_are_told_apart_and_round_trip() -> None:
    """One topic, three kinds of record."""
    checkpoint = Checkpoint(slot=1, lanes={LANE: Lane(next=5, open=(2,))}, open=(intent(2),), at=NOW)
    for entry in (intent(3), outcome(3), checkpoint):
        assert decode(msgspec.json.encode(entry)) == entry
    assert record_key(intent(3)) == record_key(outcome(3)) == f"{3:032x}:1".encode()


def test_a_record_that_is_none_says_so() -> None:
    """A journal with foreign bytes in it is told, not guessed."""
    with pytest.raises(msgspec.MsgspecError):
        decode(b'{"entry":"note"}')


def test_without_a_checkpoint_the_lanes_stand_at_the_group_s_offsets() -> None:
    """A slot's first crash comes before its first commit."""
    memory = remembered(None, [intent(7), intent(8), outcome(8)], {LANE: 7}, now=NOW)
    assert memory.lanes[LANE].lane() == Lane(next=7)
    assert [one.offset for one in memory.redo] == [8]
    assert set(memory.in_doubt) == {(f"{7:032x}", 1)}


def test_what_was_open_at_the_checkpoint_is_in_doubt_until_its_outcome() -> None:
    """One stuck connection: its intent rides in the checkpoint, however long ago it was made."""
    checkpoint = Checkpoint(slot=0, lanes={LANE: Lane(next=100, open=(3, 99))}, open=(intent(3), intent(99)), at=NOW)
    memory = remembered(checkpoint, [outcome(99)], {LANE: 3}, now=NOW)
    assert set(memory.in_doubt) == {(f"{3:032x}", 1)}
    assert [one.offset for one in memory.redo] == [99]
    book = memory.lanes[LANE]
    assert [book.is_done(offset) for offset in (2, 3, 50, 99, 100)] == [True, False, True, False, False]
    assert book.committable == 3


def test_an_outcome_that_the_checkpoint_covers_is_not_redone() -> None:
    """Redone after an abort, an outcome can stand twice; the second time it is done."""
    checkpoint = Checkpoint(slot=0, lanes={LANE: Lane(next=10, open=())}, open=(), at=NOW)
    assert remembered(checkpoint, [outcome(9)], {LANE: 10}, now=NOW).redo == ()


def test_an_intent_never_outweighs_an_outcome() -> None:
    """Whatever their order: an outcome is not taken back."""
    memory = remembered(None, [outcome(1), intent(1)], {LANE: 0}, now=NOW)
    assert not memory.in_doubt
    assert len(memory.redo) == 1


def test_another_deal_of_the_same_send_is_another_dealing() -> None:
    """A retry is dealt anew."""
    memory = remembered(None, [intent(1), outcome(1), intent(4, deal=2)], {LANE: 0}, now=NOW)
    assert set(memory.in_doubt) == {(f"{4:032x}", 2)}


def test_an_intent_of_a_send_that_kafka_has_dropped_is_forgotten() -> None:
    """Or it would ride in every checkpoint for ever."""
    late = NOW + timedelta(days=8, seconds=1)
    assert not remembered(None, [intent(1)], {LANE: 0}, now=late).in_doubt


def test_an_open_send_that_its_lane_no_longer_holds_frees_the_offset() -> None:
    """Retention took it: the lane brings a later one first."""
    book = LaneBook(Lane(next=9, open=(2, 5)))
    book.comes(5)
    assert book.committable == 5
    book.done(5)
    assert book.committable == 9


def test_an_offset_that_was_set_forward_by_hand_is_not_set_back() -> None:
    """Sends that an operator passes over are never begun, nor is the group's offset committed below them again."""
    checkpoint = Checkpoint(
        slot=0, lanes={LANE: Lane(next=10, open=(3, 8), ahead=(25, 31))}, open=(intent(3), intent(8)), at=NOW
    )
    memory = remembered(checkpoint, [outcome(3), outcome(40)], {LANE: 30}, now=NOW)
    book = memory.lanes[LANE]
    assert book.committable == 30
    assert [book.is_done(offset) for offset in (3, 8, 29, 30, 31)] == [True, True, True, False, True]
    assert [one.offset for one in memory.redo] == [40]
    assert memory.in_doubt == {}


def test_an_offset_that_is_told_from_before_changes_nothing() -> None:
    """A coordinator that was restarted, or a hand that set it back: the checkpoint knows better (ADR 8)."""
    checkpoint = Checkpoint(slot=0, lanes={LANE: Lane(next=10, open=(3,))}, open=(intent(3),), at=NOW)
    assert remembered(checkpoint, [], {LANE: 1}, now=NOW).lanes[LANE].lane() == checkpoint.lanes[LANE]


@dataclass
class Slot:
    """A sender's slot, a step at a time: its sends, its journal, and what it committed."""

    sends: int
    log: list[Intent | Outcome | Checkpoint] = field(default_factory=list)
    committed: Checkpoint | None = None
    committed_at: int = 0
    on_the_wire: dict[int, int] = field(default_factory=dict)
    effects: dict[int, int] = field(default_factory=dict)
    uncertain: set[int] = field(default_factory=set)

    def life(self, choices: Iterator[int], connections: int) -> bool:
        """One owner, from taking to its kill; whether all is done.  Each choice is a step of one connection."""
        later = self.log[self.committed_at :]
        memory = remembered(self.committed, later, {LANE: 0}, now=NOW)
        book, in_doubt = memory.lanes[LANE], dict(memory.in_doubt)
        said = [one.offset or 0 for one in memory.redo]
        for offset in said:
            book.done(offset)
        waiting = iter(range(book.committable, self.sends))
        busy: dict[int, list[str]] = {}
        while True:
            choice = next(choices, None)
            if choice is None:  # killed, or out of steps
                return False
            if choice == 0:
                for offset in said:
                    self.effects[offset] = self.effects.get(offset, 0) + 1
                said = []
                open_ = tuple(one for one in in_doubt.values())
                self.committed = Checkpoint(slot=0, lanes={LANE: book.lane()}, open=open_, at=NOW)
                self.log.append(self.committed)
                self.committed_at = len(self.log)
                if not busy and book.committable >= self.sends:
                    return True
                continue
            if len(busy) < connections and choice % 2:
                offset = next(waiting, None)
                if offset is not None and book.is_done(offset):
                    book.skip(offset)
                elif offset is not None:
                    book.begin(offset)
                    key = (f"{offset:032x}", 1)
                    if key in in_doubt:  # hold
                        del in_doubt[key]
                        self.uncertain.add(offset)
                        book.done(offset)
                        said.append(offset)
                    else:
                        busy[offset] = ["intent", "dot", "outcome"]
                continue
            if busy:
                offset = sorted(busy)[choice % len(busy)]
                step = busy[offset].pop(0)
                if step == "intent":
                    self.log.append(intent(offset))
                    in_doubt[f"{offset:032x}", 1] = intent(offset)
                elif step == "dot":
                    self.on_the_wire[offset] = self.on_the_wire.get(offset, 0) + 1
                else:
                    self.log.append(outcome(offset))
                    del in_doubt[f"{offset:032x}", 1], busy[offset]
                    book.done(offset)
                    said.append(offset)


@settings(max_examples=300, deadline=None)
@given(
    lives=st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=6),
    connections=st.integers(1, 4),
)
def test_under_kills_anywhere_nothing_is_lost_or_doubled_and_doubt_is_bounded(
    lives: list[list[int]], connections: int
) -> None:
    """The protocol as a model, `hold`: effects once, on the wire at most once, a doubt a connection and kill."""
    slot = Slot(sends=12)
    for life in lives:
        if slot.life(iter(life), connections):
            break
    else:
        forward = iter([1, 2, 2, 2, 0] * 40)
        assert slot.life(forward, connections)
    assert slot.effects == dict.fromkeys(range(12), 1)
    assert max(slot.on_the_wire.values(), default=1) == 1
    assert set(slot.on_the_wire) | slot.uncertain == set(range(12))
    assert len(slot.uncertain) <= connections * len(lives)
