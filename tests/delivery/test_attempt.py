"""A send from its checks to its outcome, against a real receiver."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas import ids
from schemas.events import Outcome, Send
from streams.compose.message import Message
from streams.delivery.attempt import Attempts
from streams.delivery.intents import Intents
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.pool import SlotConnections
from streams.views import World
from tests.compose import builders
from tests.delivery.builders import MESSAGE, RECIPIENT, SENDER, slot
from tests.support.receiver import Receiver

KEY = b"k" * 32
MAIL = Message(envelope_from=SENDER, envelope_to=RECIPIENT, data=MESSAGE, message_id="<1@acme.example>")


class Scene:
    """A world in which the send may go, until a test changes it while the message is made."""

    def __init__(self, connections: SlotConnections, intents: Intents | None = None) -> None:
        now = datetime.now(UTC)
        self.world, self.fresh = World(), True
        via = {"kind": "bind", "address": "127.0.0.2"}
        self.world.apply("egress", "0", msgspec.json.encode({"slot": 0, "via": via, "ehlo": "m0.mail.example"}))
        self.send = msgspec.structs.replace(
            builders.send(), slot=0, deal=1, queued_at=now, expire_at=now + timedelta(hours=1), cap_class="marketing"
        )
        self.meanwhile = lambda: None
        self.attempts = Attempts(
            world=self.world,
            compose=self._compose,
            connections=connections,
            settings=OutcomeSettings(address_key=KEY),
            may_send=lambda: self.fresh,
            intents=intents,
            jitter=lambda: 0.0,
        )

    def _compose(self, _: Send) -> Message:
        self.meanwhile()
        return MAIL

    def suppress(self) -> None:
        """Somebody complains."""
        name = ids.address_id(self.send.to.address, KEY)
        entry = {
            "scope": "global", "channel": "mail", "reason": "complaint", "address_id": name,
            "source": "t", "at": "2026-11-24T00:00:00Z",
        }  # fmt: skip
        key = ids.suppression_key("global", "mail", "complaint", name)
        self.world.apply("suppressions", key, msgspec.json.encode(entry))

    def lose_touch(self) -> None:
        """The views can't confirm their ends any more."""
        self.fresh = False

    async def settle(self) -> Outcome:
        """Try once."""
        return await self.attempts.settle(self.send)


async def test_what_may_go_is_delivered() -> None:
    """One message, one final outcome, one attempt more; its place under the cap is taken."""
    async with Receiver() as receiver, slot(receiver) as connections:
        outcome = await Scene(connections).settle()
    delivery = outcome.delivery
    assert (delivery.type, delivery.final, delivery.attempt, delivery.smtp_code) == ("accepted", True, 1, 250)
    assert (outcome.returned, outcome.suppression, len(receiver.messages)) == (None, None, 1)


async def test_a_send_from_an_address_of_no_host_comes_back() -> None:
    """Its slot's owner can't bind it: not final, and the send returns to its dealer, to be tried again soon."""
    async with Receiver() as receiver, slot(receiver, address="192.0.2.7") as connections:
        scene = Scene(connections)
        outcome = await scene.settle()
    assert (outcome.delivery.type, outcome.delivery.class_, outcome.delivery.final) == (
        "deferred",
        "egress_unavailable",
        False,
    )
    assert outcome.returned is not None and outcome.returned.kind == "retry"
    assert (outcome.returned.send.send_id, outcome.returned.send.slot) == (scene.send.send_id, scene.send.slot)
    assert timedelta(0) < outcome.returned.due - outcome.returned.at <= timedelta(minutes=1)


async def test_a_suppression_while_it_waits_for_its_turn_stops_it() -> None:
    """Nothing is delivered, the rule is named, and its place under the cap is free again."""
    async with Receiver() as receiver, slot(receiver) as connections:
        scene = Scene(connections)
        scene.meanwhile = scene.suppress
        outcome = await scene.settle()
    assert (outcome.delivery.type, outcome.delivery.rules[0].value) == ("suppressed", "global/complaint")
    assert outcome.returned is not None and outcome.returned.kind == "give_back"
    assert receiver.messages == []


async def test_views_that_lose_touch_while_it_waits_for_its_turn_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can't know of a suppression sends nothing (G4): it goes back to its dealer."""
    monkeypatch.setattr("streams.delivery.attempt.VIEW_WAIT_S", 0.2)
    async with Receiver() as receiver, slot(receiver) as connections:
        scene = Scene(connections)
        scene.meanwhile = scene.lose_touch
        outcome = await scene.settle()
    assert (outcome.delivery.type, outcome.delivery.final) == ("waiting", False)
    assert outcome.returned is not None and outcome.returned.kind == "parked"
    assert receiver.messages == []


async def test_views_that_are_back_in_touch_within_moments_let_it_go() -> None:
    """The receiver waits behind its 354; a send that goes back has cost an intent and a signature."""
    async with Receiver() as receiver, slot(receiver) as connections:
        scene = Scene(connections)

        def lose_touch_for_a_moment() -> None:
            scene.fresh = False
            asyncio.get_running_loop().call_later(0.3, setattr, scene, "fresh", True)

        scene.meanwhile = lose_touch_for_a_moment
        outcome = await scene.settle()
    assert outcome.delivery.type == "accepted"
    assert len(receiver.messages) == 1
