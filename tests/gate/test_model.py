"""The gate against a model that counts by brute force: caps, duplicates, conservation and the rules that are named.

Random campaigns, persons, times, pauses, suppressions, returns, give-backs, replays and restarts.  The model knows no
table, index or pruning: it looks at lists of what was said.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import ids
from schemas.events import Delivery, Send
from tests.gate.builders import Heard, Scene, recipient

# class, most, hours.  Times stay below four days, so that no entry is old enough to be forgotten.
CAPS = (("m", 2, 1), ("m", 3, 3), ("n", 1, 2))
CAMPAIGNS = {"c0": "m", "c1": "m", "c2": "n", "c3": None}
PERSONS = ("u0", "u1")
STATES = ("running", "running", "paused", "cancelled")

ops = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(PERSONS), st.sampled_from(sorted(CAMPAIGNS)), st.integers(0, 2)),
    st.tuples(st.just("ask"), st.sampled_from(PERSONS), st.sampled_from(sorted(CAMPAIGNS)), st.integers(0, 2)),
    st.tuples(st.just("pass"), st.integers(1, 150)),
    st.tuples(st.just("return"), st.sampled_from(("retry", "parked", "drained", "give_back")), st.integers(0, 99)),
    st.tuples(st.just("state"), st.sampled_from(sorted(CAMPAIGNS)), st.sampled_from(STATES)),
    st.tuples(st.just("suppress"), st.sampled_from(PERSONS), st.booleans()),
    st.tuples(st.just("replay"), st.integers(0, 99)),
    st.tuples(st.just("restart")),
)


TYPES = {  # what each rule makes of a mail, the gravest first
    "campaign_state": "cancelled",
    "expire_at": "expired",
    "duplicate": "duplicate",
    "suppressed": "suppressed",
    "capped": "capped",
}
# These hold whatever the mail waits for; the others only count when it would go.
LASTING = {"campaign_state", "expire_at", "duplicate"}


@dataclass
class Mail:
    """One recipient event, as the model follows it."""

    person: str
    campaign: str
    dedup: int
    send_id: str
    asked: datetime
    stands: str = "asked"  # waits, dealt, returned, given back, ended
    deals: int = 0
    dealt: datetime | None = None  # first
    place: bool = False  # it holds a place under its caps
    taken: bool = False  # its send id can't be asked for again


class Model:
    """A scene and what the model knows of it."""

    def __init__(self) -> None:
        """Four running campaigns under three caps."""
        self.scene = Scene()
        self.scene.tenant(caps=[{"class": name, "max": most, "per": f"{hours}h"} for name, most, hours in CAPS])
        self.states: dict[str, str] = {}
        for name in CAMPAIGNS:
            self.set_state(name, "running")
        self.mails: dict[int, Mail] = {}  # by source offset
        self.sends: list[Send] = []
        self.suppressed: dict[str, str] = {}

    # What happens

    def play(self, op: tuple[object, ...]) -> None:
        """Do one step, then release mail by mail, so that the model knows the order."""
        scene = self.scene
        match op:
            case ("ask", str(person), str(campaign), int(dedup)):
                fields = {"campaign_id": campaign, "dedup_key": f"d{dedup}"}
                send_id = ids.send_id(recipient(recipient=person, **fields))
                self.mails[scene.offset] = Mail(person, campaign, dedup, send_id, scene.now)
                self.hear(scene.ask(person, **fields))
            case ("replay", int(pick)) if self.mails:
                offset = sorted(self.mails)[pick % len(self.mails)]
                mail = self.mails[offset]
                if mail.taken:  # what left no entry can't be read again: its offset is committed with its outcome
                    fields = {"campaign_id": mail.campaign, "dedup_key": f"d{mail.dedup}"}
                    assert not words(scene.ask(mail.person, offset=offset, **fields)), "a replay was heard"
            case ("pass", int(minutes)):
                scene.later(minutes=minutes)
            case ("return", str(kind), int(pick)) if self.sends:
                self.give(kind, self.sends[pick % len(self.sends)], pick * 60)
            case ("state", str(name), str(state)):
                self.set_state(name, state)
            case ("suppress", str(person), True):
                self.suppressed[person] = scene.suppress(f"{person}@docomo.example")
            case ("suppress", str(person), False) if person in self.suppressed:
                scene.apply("suppressions", self.suppressed.pop(person), None)
            case ("restart",):
                scene.restarted()
        while words(out := scene.release(limit=1)):
            self.hear(out)

    def set_state(self, name: str, state: str) -> None:
        """Upstream's word on a campaign."""
        self.states[name] = state
        self.scene.campaign(name, state=state, cap_class=CAMPAIGNS[name])

    def give(self, kind: str, send: Send, due_s: int) -> None:
        """Return a send, maybe one of an older deal or one that was returned already."""
        mail = self.mails[send.source_offset]
        current = mail.stands == "dealt" and mail.deals == send.deal
        ignored = self.scene.desk.counters["returns_ignored"]
        assert not words(self.scene.give(kind, send, due_s=due_s))
        assert self.scene.desk.counters["returns_ignored"] == ignored + (not current)
        if current:
            mail.stands = "given back" if kind == "give_back" else "returned"
            mail.place = mail.place and kind != "give_back"

    # What was said

    def hear(self, out: Heard) -> None:
        """Hold one word against the model, and follow it."""
        assert not out.letters and not out.forwarded
        (word,) = words(out)
        mail = self.mails[word.source_offset]
        assert mail.stands in {"asked", "waits", "returned"}, "it has an end, or is with its sender"
        rules = self.failing(mail)
        if isinstance(word, Send):
            assert not rules and self.states[mail.campaign] == "running" and word.deal == mail.deals + 1
            if mail.dealt is None:
                mail.dealt, mail.place = self.scene.now, CAMPAIGNS[mail.campaign] is not None
            mail.stands, mail.deals, mail.taken = "dealt", word.deal, True
            self.sends.append(word)
        elif word.final:
            assert Counter(rule.rule for rule in word.rules) == rules
            assert rules.keys() & LASTING or self.states[mail.campaign] == "running", "it should have waited"
            assert word.type == next(type_ for rule, type_ in TYPES.items() if rule in rules)
            mail.stands, mail.place, mail.taken = "ended", False, mail.deals > 0
        else:
            assert mail.stands == "asked" and self.states[mail.campaign] == "paused"
            assert not rules.keys() & LASTING
            mail.stands, mail.taken = "waits", True

    def failing(self, mail: Mail) -> Counter[str]:
        """The rules that fail for this mail now, and how often."""
        rules = Counter[str]()
        rules["campaign_state"] += self.states[mail.campaign] == "cancelled"
        rules["expire_at"] += self.scene.now - mail.asked >= timedelta(hours=24)
        rules["suppressed"] += mail.person in self.suppressed
        if not mail.deals:
            others = [one for one in self.mails.values() if one is not mail]
            rules["duplicate"] += any(one.taken and one.send_id == mail.send_id for one in others)
            rules["capped"] += sum(
                name == CAMPAIGNS[mail.campaign] and self.places(mail.person, name, hours) >= most
                for name, most, hours in CAPS
            )
        return +rules

    def places(self, person: str, cap_class: str, hours: int) -> int:
        """How many mails of a class the person was dealt within the last hours."""
        return sum(
            one.place
            and one.person == person
            and CAMPAIGNS[one.campaign] == cap_class
            and one.dealt is not None
            and self.scene.now - one.dealt < timedelta(hours=hours)
            for one in self.mails.values()
        )

    def holds(self) -> None:
        """What is true at any moment."""
        waiting = sum(mail.stands in {"waits", "returned"} for mail in self.mails.values())
        assert waiting == self.scene.desk.waiting
        assert all(mail.stands != "asked" for mail in self.mails.values()), "somebody got no answer"
        assert all(self.places(person, name, hours) <= most for person in PERSONS for name, most, hours in CAPS)


def words(out: Heard) -> list[Send | Delivery]:
    """All that was said of mails."""
    return [*out.sends, *out.deliveries]


@given(st.lists(ops, min_size=5, max_size=60))
@settings(max_examples=250, deadline=None)
def test_every_word_is_what_the_model_expects(steps: list[tuple[object, ...]]) -> None:
    """Caps hold and refuse exactly when full; each mail has one end, waits, or is with its sender."""
    model = Model()
    for step in steps:
        model.play(step)
        model.holds()
    for name in CAMPAIGNS:
        model.play(("state", name, "running"))
    model.scene.later(days=2)
    model.play(("restart",))
    model.holds()
    assert model.scene.desk.waiting == 0, "what may go went, what may not has ended"
