"""The audit holds for a run that went well, and each kind of fault makes the check fail that is there for it."""

from __future__ import annotations

import msgspec
import pytest

from streams.operate.chaos.edge import scene
from streams.operate.chaos.edge.causes import RECEIVER
from tests.operate.chaos.edge.builders import HOLD, RESEND, World, at, first_events, killed, planned

NOBODYS = "R1-R5 nobody's duplicate or doubt"
SEVERAL = "R1-R5 several on one connection"
ABOVE = "R1-R3 blows with more than open connections"
BEHIND = "R1-R5 sent again behind an outcome"


def test_a_run_in_which_a_kill_cost_what_it_may() -> None:
    """Two connections open, one doubt and one duplicate, each on its own: every check holds."""
    world = killed()
    assert world.failing() == set()
    found, [blow] = world.found(), world.blows
    assert [one.port for one in found.open[blow.number]] == [2, 3]
    assert [(one.what, one.connection.port) for one in found.charged(blow)] == [("duplicate", 3), ("uncertain", 2)]


def test_a_lost_mail() -> None:
    """Accepted by our word, and the receiver never saw it."""
    world = killed()
    lost = planned(HOLD, nth=2)
    world.ask(lost)
    world.tell(lost)
    assert world.failing() == {"R1-R3 lost"}


def test_an_event_without_an_end() -> None:
    """Conservation of its campaign fails, and the plan's check."""
    world = killed()
    world.ask(planned(HOLD, nth=2))
    assert world.failing() == {"R7 conservation acme:autumn", "outcomes as planned"}


def test_an_event_with_two_ends() -> None:
    """A second final outcome of the same event fails conservation."""
    world = killed()
    world.tell(planned(HOLD), "uncertain")
    assert {"R7 conservation acme:autumn", "outcomes as planned", NOBODYS} == world.failing()


def test_a_duplicate_under_hold() -> None:
    """It fails even where a kill explains it."""
    world = killed()
    world.again(planned(HOLD, nth=1), port=4, when=13)
    assert world.failing() == {"R1-R3 duplicates under hold", SEVERAL, ABOVE, BEHIND}


def test_a_duplicate_of_a_mail_whose_outcome_was_known() -> None:
    """The first acceptance on a killed connection is not its last: nothing may send it again."""
    world = killed()
    world.again(planned(RESEND), port=4, when=13)
    assert world.failing() == {NOBODYS, BEHIND}


def test_a_duplicate_without_a_blow() -> None:
    """Sent twice by a sender that lives."""
    world = killed()
    twice = planned(RESEND, nth=2)
    world.deliver(twice, port=4, when=14)
    world.take(twice, port=4, when=15)
    assert world.failing() == {NOBODYS}


def test_a_doubt_without_a_blow() -> None:
    """Held as uncertain although the connection of its intent ended by QUIT, or although there was no intent."""
    for port in (1, 99):
        world = killed()
        guessed = planned(HOLD, nth=2)
        world.ask(guessed)
        world.intend(guessed, port=port, when=5)
        world.tell(guessed, "uncertain", class_="sender_lost")
        assert world.failing() == {NOBODYS}


def test_two_doubts_on_one_connection() -> None:
    """The bound is one a connection, and not the sum."""
    world = killed()
    second = planned(HOLD, nth=2)
    world.ask(second)
    world.intend(second, port=2, when=9.9)
    world.tell(second, "uncertain", class_="sender_lost")
    assert world.failing() == {SEVERAL, ABOVE}


def test_other_bytes_the_second_time() -> None:
    """A resend must be the same above the signature, and have the same Message-ID."""
    world = killed()
    digests = (msgspec.structs.replace(world.taken[-1], digest="other"),)
    assert world.failing(taken=(*world.taken[:-1], *digests)) == {"R1 sent again with other bytes"}
    ids = (msgspec.structs.replace(world.taken[-1], message_id="<other@acme.example>"),)
    assert world.failing(taken=(*world.taken[:-1], *ids)) == {"R1 sent again with other bytes"}


@pytest.mark.parametrize("type_", ["bounced", "suppressed", "cancelled", "expired"])
def test_taken_and_told_otherwise(type_: str) -> None:
    """Of what the receiver has nobody may say that it did not go."""
    world = killed()
    event = planned(HOLD, nth=2)
    world.ask(event)
    world.again(event, port=1, when=5)
    world.tell(event, type_)
    assert world.failing() == {"R1-R3 taken and told otherwise", "outcomes as planned"}


def test_a_zombie() -> None:
    """Stopped with a mail past its intent, it may finish that one when it goes on, and no other."""
    world = killed()
    world.connect(5, opened=20, ended=40, how="lost")
    stop = world.stop(30, until=39, ports=(5,))
    event = planned(HOLD, nth=2)
    world.ask(event)
    world.intend(event, port=5, when=29.9)
    world.take(event, port=5, when=39.1)
    world.tell(event, "uncertain", class_="sender_lost")
    assert world.failing() == set()
    assert [one.connection.port for one in world.found().charged(stop)] == [5]
    more = planned(HOLD, nth=3)
    world.deliver(more, port=5, when=39.2)
    assert world.failing() == set(), "nobody had taken its IP: the slot was still its own"
    world.connect(6, opened=37, ended=60)
    world.deliver(planned(HOLD, nth=4), port=6, when=38)
    assert world.failing() == {"R3 zombies beyond one a connection"}


def test_the_port_of_a_zombies_connection_is_anothers_later() -> None:
    """What comes on it then is not the zombie's."""
    world = killed()
    world.connect(5, opened=20, ended=40, how="lost")
    world.stop(30, until=39, ports=(5,))
    world.connect(6, opened=37, ended=60)
    world.deliver(planned(HOLD, nth=2), port=6, when=38)
    world.connect(5, opened=50, ended=60)
    for nth in (3, 4):
        world.deliver(planned(HOLD, nth=nth), port=5, when=50 + nth)
    assert world.failing() == set()


def test_receivers_that_drop_after_the_dot() -> None:
    """Uncertain, or sent again; anything else is a guess."""
    world = killed()
    held, again = planned(HOLD, "dropafter"), planned(RESEND, "dropafter")
    for port, event in ((6, held), (7, again)):
        world.ask(event)
        world.connect(port, opened=20, ended=21, how="dropped")
        world.intend(event, port=port, when=20.5)
        world.take(event, port=port, when=20.6, outcome="dropafter")
    world.tell(held, "uncertain", class_="connection_lost")
    world.tell(again, "deferred", final=False)
    world.tell(again)
    assert world.failing() == {"R5 dropped after the dot and guessed"}, "it was not sent again"
    world.connect(8, opened=22, ended=30)
    world.intend(again, port=8, when=22.4)
    world.take(again, port=8, when=22.5)
    assert world.failing() == set()
    assert [one.cause for one in world.found().charges].count(RECEIVER) == 2
    accepted = tuple(
        msgspec.structs.replace(one, type="accepted") if one.class_ == "connection_lost" else one for one in world.told
    )
    failing = world.failing(told=accepted)
    assert {"R5 dropped after the dot and guessed", "outcomes as planned"} <= failing


def test_receivers_that_stall() -> None:
    """Sent again without a blow, a stalled mail fails its own check."""
    world = killed()
    event = planned(RESEND, "stall")
    world.ask(event)
    world.intend(event, port=1, when=5)
    world.take(event, port=1, when=5.1, outcome="stall")
    world.tell(event)
    assert world.failing() == set()
    world.again(event, port=4, when=15)
    assert world.failing() == {"R4 stalled and sent again", NOBODYS}


def test_a_person_above_the_cap() -> None:
    """Counted by what the receiver took; the same mail twice is one."""
    world = killed()
    person = planned(HOLD, "capped").person
    editions = [one for one in first_events() if one.person == person]
    assert len(editions) == scene.CAP_MAX + 2
    for number, event in enumerate(editions):
        if number < scene.CAP_MAX:
            world.deliver(event, port=1, when=2 + number)
        else:
            world.ask(event)
            world.tell(event, "capped")
    assert world.failing() == set()
    world.again(editions[-1], port=1, when=9)
    assert {"R6 persons above their cap", "R1-R3 taken and told otherwise"} == world.failing()


def test_mail_to_somebody_who_left() -> None:
    """Within five seconds of the suppression's entry it may come, later it may not."""
    world = killed()
    event = planned(HOLD, "leaving")
    world.deliver(event, port=1, when=8)
    entry = "tenant:acme", f"1-{event.address}"
    world.entered[entry] = at(4).timestamp()
    assert world.failing() == set()
    world.entered[entry] = at(3).timestamp()
    assert world.failing() == {"R6 mail to the suppressed"}


def test_a_fact_said_twice() -> None:
    """Two committed delivery events of one event id."""
    world = killed()
    world.tell(planned(HOLD), "deferred", final=False)
    assert world.failing() == set()
    world.tell(planned(HOLD), "deferred", final=False)
    assert world.failing() == {"R7 facts said twice"}


def test_a_double_count_in_clickhouse() -> None:
    """A row twice, a row missing, and a final outcome that no record has."""
    world = killed()
    seen = world.evidence()
    count, offsets = seen.records[0]
    assert world.failing(rows={0: (count + 1, offsets + 3)}) == {"ClickHouse = Kafka"}
    assert world.failing(rows={0: (count, offsets + 1)}) == {"ClickHouse = Kafka"}
    assert world.failing(rows={}) == {"ClickHouse = Kafka"}
    ends = {campaign: types + types for campaign, types in seen.ends.items()}
    assert world.failing(ends=ends) == {"finals in ClickHouse by campaign"}


def test_a_broker_that_was_away() -> None:
    """It explains a doubt on a connection that was open when it went and over when it came back, and no other."""
    for opened, ended, explained in ((25, 31, True), (25, 41, False), (31, 33, False), (25, 29, False)):
        world = killed()
        blow = msgspec.structs.replace(world.kill(30), kind="broker", point="", member="kafka")
        world.blows[-1] = msgspec.structs.replace(blow, until=at(40).timestamp())
        world.connect(9, opened=opened, ended=ended)
        event = planned(HOLD, nth=2)
        world.ask(event)
        world.intend(event, port=9, when=min(29.9, ended) if opened < 30 else 32)
        world.tell(event, "uncertain", class_="sender_lost")
        assert world.failing() == (set() if explained else {NOBODYS})


def test_what_a_living_sender_cuts_beside_a_kill_is_not_the_kills() -> None:
    """The kernel closes a dead process's sockets in one go; a single cut a little later is nobody's excuse."""
    world = World()
    for port in (1, 2, 3):
        world.connect(port, opened=0, ended=10 + port / 100, how="lost")
    world.connect(4, opened=0, ended=10.8, how="lost")
    blow = world.kill(10)
    assert [one.port for one in world.found().open[blow.number]] == [1, 2, 3]


def test_two_deaths_within_a_second() -> None:
    """Each connection is the nearer one's."""
    world = World()
    first, second = world.kill(10), world.kill(10.6)
    for port, ended in ((1, 10.02), (2, 10.03), (3, 10.62), (4, 10.63)):
        world.connect(port, opened=0, ended=ended, how="lost")
    found = world.found()
    assert [one.port for one in found.open[first.number]] == [1, 2]
    assert [one.port for one in found.open[second.number]] == [3, 4]
