"""Mail that waits at an IP that is taken out comes back from its sender and goes out through the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import pytest

from schemas.events import Send
from streams.delivery.outcomes import OutcomeSettings, concluded, withheld
from streams.delivery.smtp import Result
from streams.spread.check import WINDOW_BOUND, worst_window_deviation
from tests.gate.builders import KEY, NOW, Scene, heard

MAILS = 400
SETTINGS = OutcomeSettings(address_key=KEY)


def dealt(scene: Scene, count: int) -> list[Send]:
    """So many new mails, each dealt."""
    return [send for number in range(count) for send in scene.ask(f"u{number}").sends]


def sent_back(scene: Scene, sends: Sequence[Send]) -> list[Send]:
    """What a sender's look before MAIL FROM gives back, dealt again."""
    again: list[Send] = []
    for send in sends:
        outcome = withheld(send, scene.world, scene.now, SETTINGS)
        assert outcome is not None and outcome.returned is not None and outcome.returned.kind == "drained"
        source = scene.source("returns")
        heard(scene.desk.receive(source, msgspec.json.encode(outcome.returned), scene.now))
        again += scene.release().sends
    return again


def drained(scene: Scene) -> None:
    """`evenpost egress drain 3`."""
    scene.egress(3, state="drained")


def suspended(scene: Scene) -> None:
    """`evenpost egress suspend 3 --provider other`."""
    event = {"target": "slot", "key": "3", "provider": "other", "state": "suspended", "by": "ana", "reason": ""}
    scene.apply("controls", "slot/3/other", event | {"at": NOW})


@pytest.mark.parametrize("close", [drained, suspended])
def test_what_waits_at_a_closed_ip_is_dealt_over_the_others_evenly(close: Callable[[Scene], None]) -> None:
    """None lost, none twice, none to the IP that is closed; the others' mail goes as it was dealt."""
    scene = Scene(slots=4)
    sends = dealt(scene, MAILS)
    close(scene)
    waiting = [send for send in sends if send.slot == 3]
    staying = [send for send in sends if send.slot != 3]
    assert len(waiting) >= MAILS // 4 - 2
    assert all(withheld(send, scene.world, scene.now, SETTINGS) is None for send in staying)
    again = sent_back(scene, waiting)
    assert Counter(send.send_id for send in again) == Counter(send.send_id for send in waiting)
    assert all(send.weights_version for send in again), "each is a new deal, and counts among them"
    assert worst_window_deviation([send.slot for send in again], dict.fromkeys(range(3), 1.0)) < WINDOW_BOUND
    assert scene.desk.waiting == 0


def test_mail_that_a_host_refuses_from_one_ip_goes_out_through_another() -> None:
    """A host that no list names blocks IP 3 for good: no rule counts there, and the mail tries the others."""
    scene = Scene(slots=4)
    (tried,) = [one for one in dealt(scene, 4) if one.slot == 3]
    refused = Result(disposition="soft", class_="policy", smtp_code=554, stage="greeting", via="")
    slots = []
    for _ in range(2):
        outcome = concluded(tried, refused, scene.now, SETTINGS, jitter=0)
        assert outcome.returned is not None and outcome.suppression is None
        heard(scene.desk.receive(scene.source("returns"), msgspec.json.encode(outcome.returned), scene.now))
        assert not scene.release().sends, "it waits as its class does"
        scene.now = outcome.returned.due
        (tried,) = scene.release().sends
        slots.append(tried.slot)
    assert slots[0] != 3 or slots[1] != 3
    assert tried.attempt == 2
