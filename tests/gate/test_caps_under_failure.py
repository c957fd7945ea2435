"""Caps when everything fails: no person gets more than the cap, no place is lost, each event has one end (G1, G5).

Gate and sender decide by their own code; Kafka is two lists here.  What can go wrong with them is what is drawn:

- a gate's transaction is aborted or its worker dies: tables and records go back together, and are decided anew;
- a sender dies behind an intent: the mail may have arrived, and the campaign says whether it goes again;
- a return comes again, late, or beside one of a newer deal.

The oracle follows each mail by what the receivers saw, and knows no table.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.events import Intent, Outcome, Return, Send
from streams.delivery import outcomes
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.smtp import Result
from tests.gate.builders import KEY, Heard, Scene

MOST: Final = 2
WINDOW: Final = timedelta(hours=6)
SENDER: Final = OutcomeSettings(address_key=KEY)
# How an attempt ends, and whether the receiver has the mail.
ENDS: Final = {"accepted": True, "hard": False, "soft": False, "uncertain, gone": True, "uncertain, lost": False}
CAMPAIGNS: Final = {"hold": "hold", "again": "resend"}

steps = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(sorted(CAMPAIGNS)), st.booleans()),
    st.tuples(st.just("ask"), st.sampled_from(sorted(CAMPAIGNS)), st.just(True)),
    st.tuples(st.just("attempt"), st.integers(0, 9), st.sampled_from(sorted(ENDS))),
    st.tuples(st.just("attempt"), st.integers(0, 9), st.sampled_from(sorted(ENDS))),
    st.tuples(st.just("crash"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("withhold"), st.integers(0, 9)),
    st.tuples(st.just("hear"), st.booleans()),
    st.tuples(st.just("hear"), st.just(True)),
    st.tuples(st.just("repeat"), st.integers(0, 99)),
    st.tuples(st.just("release"), st.booleans()),
    st.tuples(st.just("pass"), st.integers(1, 240)),
    st.tuples(st.just("restart")),
)


@dataclass
class Told:
    """What was said of one event, and what its receiver saw."""

    dealt: datetime | None = None
    arrived: bool = False
    ended: list[str] = field(default_factory=list)
    given_back: bool = False  # the gate has heard that it reached nobody, or said so itself


class Pipeline:
    """A gate, a sender, and the records between them, as they were committed."""

    def __init__(self) -> None:
        self.gate = Scene()
        self.gate.tenant(caps=[{"class": "m", "max": MOST, "per": "6h"}])
        for name, word in CAMPAIGNS.items():
            self.gate.campaign(name, cap_class="m", on_uncertain=word)
        self.mails: dict[int, Told] = {}
        self.sends: list[Send] = []
        self.returns: list[Return] = []
        self.heard: list[Return] = []
        self.asked = 0

    def play(self, step: tuple[Any, ...]) -> None:
        """One thing that happens."""
        match step:
            case ("ask", campaign, committed):
                offset, fields = self.gate.offset, {"campaign_id": campaign, "dedup_key": str(self.asked)}
                self.asked += 1
                if not committed:
                    self.undone(lambda: self.gate.ask(offset=offset, **fields))
                self.said(self.gate.ask(**fields), offset)
                assert not words(self.gate.ask(offset=offset, **fields)) or self.mails[offset].ended, "decided twice"
            case ("attempt", pick, end) if self.sends:
                self.attempt(self.sends.pop(pick % len(self.sends)), end)
            case ("crash", pick, arrived) if self.sends:
                self.crash(pick % len(self.sends), arrived=arrived)
            case ("withhold", pick) if self.sends:
                send = self.sends.pop(pick % len(self.sends))
                late = outcomes.withheld(send, self.gate.world, max(self.gate.now, send.expire_at), SENDER)
                assert late is not None
                self.follow(late, send)
            case ("hear", committed) if self.returns:
                back = self.returns.pop(0)
                if not committed:
                    self.undone(lambda: self.give(back))
                self.take_back(back)
                self.heard.append(back)
            case ("repeat", pick) if self.heard:
                self.take_back(self.heard[pick % len(self.heard)])
            case ("release", committed):
                if not committed:
                    self.undone(self.gate.release)
                self.said(self.gate.release(), None)
            case ("pass", minutes):
                self.gate.later(minutes=minutes)
            case ("restart",):
                self.gate.restarted()

    def undone(self, decide: Any) -> None:
        """Decide, and lose it: tables and offsets go back, nobody reads the records, memory is made anew."""
        before, offset = copy.deepcopy(self.gate.tables), self.gate.offset
        decide()
        self.gate.tables, self.gate.offset = before, offset
        self.gate.restarted()

    def give(self, back: Return) -> bool:
        """The gate reads a return; whether it counted."""
        ignored = self.gate.desk.counters["returns_ignored"]
        assert not self.gate.desk.receive(self.gate.source("returns"), msgspec.json.encode(back), self.gate.now)
        return self.gate.desk.counters["returns_ignored"] == ignored

    def take_back(self, back: Return) -> None:
        """What a return that was read in a committed batch changes."""
        if self.give(back) and back.kind == "give_back":
            mail = self.mails[back.send.source_offset]
            assert not mail.given_back, "a place was given back twice"
            mail.given_back = True

    def attempt(self, send: Send, end: str) -> None:
        """The receiver has its say, and the sender concludes."""
        self.mails[send.source_offset].arrived |= ENDS[end]
        result = Result(disposition=end.partition(",")[0], class_="system", stage="dot", via="")  # type: ignore[arg-type]
        self.follow(outcomes.concluded(send, result, self.gate.now, SENDER, jitter=0), send)

    def crash(self, place: int, *, arrived: bool) -> None:
        """The sender dies behind the intent; whoever takes the slot says what becomes of it."""
        send = self.sends[place]
        self.mails[send.source_offset].arrived |= arrived
        intent = Intent(
            send_id=send.send_id,
            deal=send.deal,
            attempt=send.attempt + 1,
            content=send.content,
            connection="c",
            lane="sends.marketing",
            offset=0,
            at=self.gate.now,
        )
        outcome = outcomes.doubtful(send, intent, self.gate.now, SENDER)
        if outcome is None:
            self.sends[place] = outcomes.sent_again(send)
            return
        del self.sends[place]
        self.follow(outcome, send)

    def follow(self, outcome: Outcome, send: Send) -> None:
        """The effects of an outcome."""
        if outcome.delivery.final:
            self.end(send.source_offset, outcome.delivery.type)
        if outcome.returned is not None:
            assert outcome.returned.kind != "give_back" or not self.mails[send.source_offset].arrived
            self.returns.append(outcome.returned)

    def said(self, out: Heard, offset: int | None) -> None:
        """What the gate committed."""
        if offset is not None:
            self.mails[offset] = Told()
        for send in out.sends:
            mail = self.mails[send.source_offset]
            mail.dealt = mail.dealt or self.gate.now
            self.sends.append(send)
        for delivery in out.finals:
            self.end(delivery.source_offset, delivery.type)
            mail = self.mails[delivery.source_offset]
            mail.given_back = mail.dealt is not None and delivery.type != "uncertain"
            if delivery.type == "capped":
                assert self.taken() >= MOST, "capped though there is a place"

    def end(self, offset: int, type_: str) -> None:
        """One final word."""
        mail = self.mails[offset]
        mail.ended.append(type_)
        assert len(mail.ended) == 1, f"{mail.ended}: two ends of one event"
        if type_ in {"expired", "cancelled", "suppressed", "rejected", "capped"}:
            assert not mail.arrived, f"said to be {type_}, and it arrived"

    def taken(self) -> int:
        """How many places of the last hours are taken, by what was said."""
        return sum(
            mail.dealt is not None and self.gate.now - mail.dealt < WINDOW and not mail.given_back
            for mail in self.mails.values()
        )

    def holds(self) -> None:
        """What is true at any moment."""
        assert self.taken() <= MOST
        recent = [one for one in self.mails.values() if one.dealt and self.gate.now - one.dealt < WINDOW]
        assert sum(one.arrived for one in recent) <= MOST, "more mails than the cap reached the person"
        assert not any(one.arrived and one.given_back for one in self.mails.values())


def words(out: Heard) -> list[Any]:
    """All that was said."""
    return [*out.sends, *out.deliveries]


_RETRIED: Final = [("ask", "again", True), ("attempt", 0, "soft"), ("hear", True), ("pass", 60), ("release", True)]
_DOUBT: Final = [("ask", "again", True), ("attempt", 0, "uncertain, gone"), ("hear", True)]


@given(st.lists(steps, min_size=5, max_size=60))
@example([*_RETRIED, ("repeat", 0), ("pass", 60), ("release", True), ("attempt", 0, "accepted")])
@example([*_DOUBT, *[("pass", 240)] * 6, ("release", True)])
@example([*_DOUBT, ("pass", 60), ("release", True), ("attempt", 0, "hard"), ("hear", True)])
@settings(max_examples=200, deadline=None)
def test_no_failure_breaks_a_cap_or_loses_a_place(drawn: list[tuple[Any, ...]]) -> None:
    """At each moment the cap holds; at the end each event has one end, and each place that is free is used again."""
    pipeline = Pipeline()
    for step in drawn:
        pipeline.play(step)
        pipeline.holds()
    for _ in range(8):  # at rest: everything that is under way ends
        while pipeline.sends:
            pipeline.attempt(pipeline.sends.pop(), "hard")
        while pipeline.returns:
            pipeline.play(("hear", True))
        pipeline.gate.later(hours=1)
        pipeline.play(("release", True))
        pipeline.holds()
    ends = Counter(len(mail.ended) for mail in pipeline.mails.values())
    assert set(ends) <= {1}, "an event without its one end"
