"""One send's story: each fact once, in the order in which it happened, whoever tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from schemas import ids
from schemas.events import Delivery, Intent, Return, Rule
from streams.operate.explain.send_story import Story, rule_words, story
from tests.compose.builders import send as a_send
from tests.warehouse.builders import START, delivery, non_send

PACE = Rule(rule="pace", value="0", limit="30 per s", next_eligible=None)


def at(seconds: float) -> datetime:
    """So long after the start."""
    return START + timedelta(seconds=seconds)


def greylisted() -> list[Delivery]:
    """It waited, was dealt and deferred, dealt again and accepted; last the clicks come."""
    return [
        non_send(7, "waiting", at=at(0), rules=(PACE,), class_="pace"),
        delivery(
            7,
            "deferred",
            at=at(3),
            queued_at=at(2),
            smtp_code=451,
            enhanced_code="4.7.1",
            reply="Greylisted",
            class_="greylisted",
        ),
        delivery(7, "accepted", deal=2, attempt=2, at=at(302), queued_at=at(300)),
        delivery(7, "opened", deal=2, attempt=2, at=at(900), queued_at=at(300), smtp_code=None, reply=""),
    ]


def told(deliveries: list[Delivery], **more: object) -> Story:
    """The story of these."""
    found = story(deliveries, **more)  # type: ignore[arg-type]  # what `story` takes
    assert found is not None
    return found


def test_steps_are_in_the_order_of_time() -> None:
    """Each dealing stands before what came of it, however the rows came."""
    found = told(greylisted()[::-1])
    assert [(step.what, step.deal) for step in found.steps] == [
        ("waiting", 0),
        ("dealt", 1),
        ("deferred", 1),
        ("dealt", 2),
        ("accepted", 2),
        ("opened", 2),
    ]
    assert found.outcome == "accepted" and [step.what for step in found.steps if step.final] == ["accepted"]
    assert found.seconds == 900
    assert found.asked == (("evenpost.recipients.marketing", 0, 7),)


def test_a_step_says_why() -> None:
    """Rules with value, limit and when; the class, the code and the receiver's words."""
    waits, _, deferred, *_ = told(greylisted()).steps
    assert waits.words == "pace; pace = 0 (limit 30 per s)"
    assert deferred.words == "greylisted; 451 4.7.1 Greylisted"
    capped = Rule(rule="capped", value="3", limit="3 marketing per 7d", next_eligible=at(60))
    assert rule_words(capped) == "capped = 3 (limit 3 marketing per 7d, next 2026-11-24 00:01:00)"


def test_a_send_under_way_has_no_outcome() -> None:
    """Deferred so far."""
    assert told(greylisted()[:2]).outcome is None


def test_the_first_event_s_end_counts() -> None:
    """Who asks for it again gets `duplicate`, and the mail is as accepted as before."""
    again = non_send(8, "duplicate", send_id=greylisted()[0].send_id, at=at(1))
    found = told([*greylisted(), again])
    assert found.outcome == "accepted" and len(found.asked) == 2
    assert told([again]).outcome == "duplicate"


def test_kafka_says_more() -> None:
    """Turn and weights of a dealing, the connection of an attempt, until when it waits; each dealing once."""
    name = ids.digest("send", "7")
    first = msgspec.structs.replace(
        a_send(), send_id=name, deal=1, slot=0, queued_at=at(2), weights_version=255, turn=1204
    )
    again = msgspec.structs.replace(first, deal=2, attempt=1, queued_at=at(300), weights_version=0, turn=0)
    intent = Intent(
        send_id=name, deal=1, attempt=1, content="", connection="mx.docomo.example:41234",
        lane="sends.marketing", offset=5, at=at(2.5),
    )  # fmt: skip
    back = Return(kind="retry", send=first, due=at(300), reason="greylisted", at=at(3))
    found = told(greylisted(), sends=[first, again, first], intents=[intent], returns=[back])
    assert [step.what for step in found.steps] == [
        "waiting",
        "dealt",
        "intent",
        "deferred",
        "comes back",
        "dealt",
        "accepted",
        "opened",
    ]
    words = {(step.what, step.deal): step.words for step in found.steps}
    assert words[("dealt", 1)].startswith(f"{first.pool}/{first.provider}: turn 1,204, weights 000000ff; until ")
    assert words[("dealt", 2)].startswith(f"{first.pool}/{first.provider}: kept its IP; until ")
    assert words[("intent", 1)] == "SMTP transaction on mx.docomo.example:41234"
    assert words[("comes back", 1)] == "retry: greylisted, due 2026-11-24 00:05:00"


def test_a_send_that_only_kafka_knows_is_told() -> None:
    """Dealt, and nothing came of it yet."""
    found = story([], sends=[a_send()])
    assert found is not None and found.outcome is None
    assert [step.what for step in found.steps] == ["dealt"]
    assert found.domain == a_send().to.address.rpartition("@")[2]


def test_nothing_is_no_story() -> None:
    """The caller says that nothing is known."""
    assert story([]) is None


def test_times_are_utc() -> None:
    """As ClickHouse has them."""
    assert {step.at.tzinfo for step in told(greylisted()).steps} == {UTC}
