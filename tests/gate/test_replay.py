"""What becomes of a dead letter that is replayed: a record with the same bytes at new coordinates, without our headers.

An event has its final outcome by its own coordinates, and a replay is an event of its own: neither has two.
"""

from __future__ import annotations

import msgspec

from schemas.events import Delivery, Return
from streams.runtime.dead_letters import Failure
from tests.gate.builders import Scene, event, heard

FAILURE = Failure(error=ZeroDivisionError("a defect, mended since"))


def ends(finals: list[Delivery]) -> list[tuple[int, str]]:
    """Whose finals they are."""
    return [(one.source_offset, one.type) for one in finals]


def test_a_rejected_event_is_dealt_as_a_new_one() -> None:
    """It never came to the person's table: the mail goes out, and the final to come is the replay's own."""
    scene = Scene()
    first = scene.source()
    assert ends(heard(scene.desk.reject(first, event(), scene.now, FAILURE)).finals) == [(first.offset, "rejected")]
    again = scene.ask()
    assert again.finals == []
    (send,) = again.sends
    assert send.source_offset != first.offset


def test_a_mail_that_is_known_is_a_duplicate() -> None:
    """Upstream wrote it again meanwhile, or it failed only after it was dealt: no second mail."""
    scene = Scene()
    scene.ask()
    again = scene.ask()
    assert (again.sends, [one.type for one in again.finals]) == ([], ["duplicate"])


def test_a_return_that_ended_rejected_is_ignored() -> None:
    """Its mail is closed in the person's table: no second final, no second mail."""
    scene = Scene()
    (send,) = scene.ask().sends
    back = msgspec.json.encode(Return(kind="retry", send=send, due=scene.now, reason="t", at=scene.now))
    rejected = heard(scene.desk.reject(scene.source("returns"), back, scene.now, FAILURE))
    assert ends(rejected.finals) == [(send.source_offset, "rejected")]
    again = heard(scene.desk.receive(scene.source("returns"), back, scene.now))
    assert (again.sends, again.deliveries, scene.release().sends) == ([], [], [])
