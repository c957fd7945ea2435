"""Where a second mail may come from: between a dot and its outcome, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec
import pytest

from streams.operate.chaos.edge import causes, checks, known
from streams.operate.chaos.edge.plan import POINTS
from streams.operate.proof.checks import Check
from tests.operate.chaos.edge.builders import HOLD, RESEND, World, killed, planned

BEHIND: Final = "R1-R5 sent again behind an outcome"
KNOWN: Final = "R1 twice though its outcome was durable"
ELSEWHERE: Final = "R1 twice, killed elsewhere than after dot, 250"
WORDLESS: Final = "R1 points without their word in the journal"
SENDERS_POINTS: Final = [point for point in POINTS if point != "mid-insert"]


def check(world: World, name: str) -> Check:
    """One check of the world's evidence."""
    seen = world.evidence()
    judged = checks.of_evidence(world.events, seen, world.blows, causes.find(seen, world.blows))
    [one] = [one for one in judged if one.name == name]
    return one


def struck(point: str, *, on: int) -> World:
    """As `killed`, at another point: of the send on port 3, which comes twice, or of the one on port 2, held."""
    world = killed()
    send = planned(RESEND, nth=1) if on == 3 else planned(HOLD, nth=1)
    world.blows.clear()
    world.kill(10, point=point, of=send)
    return world


def test_a_mail_that_the_journal_does_not_know() -> None:
    """Accepted on a connection that no intent of it names."""
    world = killed()
    event = planned(HOLD, nth=2)
    world.ask(event)
    world.intend(event, port=1, when=5)
    world.take(event, port=4, when=12)
    world.know(event, when=12.1)
    world.tell(event)
    assert world.failing() == {"R1-R3 taken without an intent"}
    world.intend(event, port=4, when=13)
    assert "R1-R3 taken without an intent" in world.failing(), "an intent from after the mail is none"


def test_sent_again_behind_an_outcome_that_is_not_final() -> None:
    """Deferred is no end: another try is as it should be; behind a final one it is not, whichever deal it is."""
    world = killed()
    event = planned(RESEND, "greylist")
    world.ask(event)
    world.intend(event, port=1, when=3)
    world.know(event, when=3.1, final=False)
    world.again(event, port=4, when=13)
    world.know(event, when=13.1)
    world.tell(event)
    assert world.failing() == set()
    later = msgspec.structs.replace(world.intents[-1], deal=2, offset=0, slot=1)
    assert world.failing(intents=(*world.intents, later)) == {BEHIND}


@pytest.mark.parametrize("point", SENDERS_POINTS)
def test_the_send_on_which_a_process_died(point: str) -> None:
    """It comes twice only where its dot had gone and nobody was told of the reply."""
    world = struck(point, on=3)
    if point == "after-outcome":
        world.know(planned(RESEND, nth=1), when=9.95)
    failing = world.failing()
    assert (ELSEWHERE in failing) == (point not in known.IN_DOUBT)
    if ELSEWHERE not in failing:
        assert failing == set()
        assert check(world, ELSEWHERE).note.startswith("1 of sends on which a process died, 0 of its other")


@pytest.mark.parametrize("point", [point for point in SENDERS_POINTS if point != "after-outcome"])
def test_another_connection_than_the_one_that_was_struck(point: str) -> None:
    """It may have been between its dot and its outcome at any point of the other's."""
    world = struck(point, on=2)
    assert world.failing() == set()
    assert check(world, ELSEWHERE).note.startswith("0 of sends on which a process died, 1 of its other")


def test_an_outcome_that_was_durable_as_the_process_died() -> None:
    """Whoever took the slot could read it: a second mail is a fault.  The next owner's own word is none."""
    world = killed()
    world.know(planned(RESEND, nth=1), when=11, final=False)
    assert world.failing() == set()
    world = killed()
    world.know(planned(RESEND, nth=1), when=9.95, final=False)
    assert world.failing() == {KNOWN}
    assert "before the death" in check(world, KNOWN).note


def test_an_intent_behind_that_of_a_mail_that_came_twice() -> None:
    """It stands behind the outcome of the mail before it on the connection: that was durable as well."""
    world = killed()
    following = planned(RESEND, nth=2)
    world.ask(following)
    world.intend(following, port=3, when=9.99)
    world.again(following, port=4, when=14)
    world.know(following, when=14.2)
    world.tell(following)
    late = world.intents[-2], world.intents[-1]
    assert [one.port for one in late] == [3, 4]
    assert world.failing() == {KNOWN}


def test_a_point_that_was_reached_too_early() -> None:
    """From after-intent on the intent is durable, at after-outcome the outcome; else nobody could have known."""
    for point in SENDERS_POINTS:
        world = struck(point, on=2)
        without = tuple(one for one in world.intents if one.send_id != world.blows[0].send_id)
        failing = world.failing(intents=without)
        assert (WORDLESS in failing) == (point not in {"before-intent", "after-mail"}), point
    world.know(planned(HOLD, nth=1), when=9.95)
    assert WORDLESS not in world.failing(), "after-outcome, with an outcome from before the death"


def test_a_last_word_that_names_no_send() -> None:
    """Then nothing is known of the point: no kill passes so."""
    world = killed()
    world.blows = [msgspec.structs.replace(world.blows[0], send_id="")]
    assert world.failing() == {WORDLESS}
    world = replace(world, blows=[msgspec.structs.replace(world.blows[0], missed="it did not get there")])
    assert WORDLESS not in world.failing()
