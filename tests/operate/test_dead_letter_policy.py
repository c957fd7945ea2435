"""Which dead letters a replay takes, and which it never may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.topics import DEAD_LETTER_BYTES, TOPICS
from streams.operate.dead_letter import Letter
from streams.operate.dead_letter_policy import REPLAYABLE, Policy, moment, obstacle
from streams.runtime.cluster import KafkaRecord
from streams.runtime.dead_letters import DeadLetter

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def letter(value: bytes = b"{", *, key: bytes | None = None, **fields: Any) -> Letter:
    """A letter as a role writes it, read back."""
    written = DeadLetter(
        **{"role": "gate", "topic": "recipients.marketing", "partition": 3, "offset": 12, "reason": "internal error"}
        | fields,
        key=key,
        value=value,
    )
    return Letter.of(
        KafkaRecord(
            partition=1,
            offset=7,
            key="",
            at=NOW,
            raw_key=written.kept_key(),
            value=written.kept_value(),
            headers=written.headers(),
        )
    )


@pytest.mark.parametrize(
    ("policy", "taken"),
    [
        (Policy(), True),
        (Policy(reason="INTERNAL"), True),
        (Policy(reason="zerodivision"), True),  # a part of the error
        (Policy(reason="internal*"), True),
        (Policy(reason="*ZeroDivisionError*"), True),
        (Policy(reason="error*"), False),  # a pattern is for all of it
        (Policy(reason="malformed"), False),
        (Policy(topics=frozenset({"recipients.marketing", "returns"})), True),
        (Policy(topics=frozenset({"returns"})), False),
        (Policy(role="gate"), True),
        (Policy(role="feedback"), False),
        (Policy(since=NOW, until=NOW + timedelta(seconds=1)), True),
        (Policy(since=NOW + timedelta(seconds=1)), False),
        (Policy(until=NOW), False),
        (Policy(reason="internal", role="gate", topics=frozenset({"returns"})), False),  # all must hold
    ],
)
def test_a_policy_takes_what_it_names(policy: Policy, taken: bool) -> None:
    """Reason and error by a part or a pattern, topic, role, and time from since to before until."""
    assert policy.takes(letter(error="ZeroDivisionError: division by zero")) == taken


def test_each_topic_is_replayable_or_has_its_reason_why_not() -> None:
    """No topic is forgotten: a new one is refused until somebody thought about it."""
    for topic in TOPICS:
        why = obstacle(letter(topic=topic.name))
        assert (why is None) == (topic.name in REPLAYABLE), topic.name
        if topic.name not in {*REPLAYABLE, "dead-letters"}:
            assert why != obstacle(letter(topic="unheard-of")), topic.name


def test_what_was_cut_is_not_replayed() -> None:
    """A letter that holds a beginning alone would be another event."""
    assert "only the beginning" in (obstacle(letter(b"x" * (DEAD_LETTER_BYTES + 1))) or "")
    assert "only the beginning" in (obstacle(letter(key=b"k" * 2000)) or "")
    assert obstacle(letter(b"x" * 1000)) is None


def test_times_are_given_or_counted_back() -> None:
    """With a zone, or as a distance."""
    assert moment("90m", NOW) == NOW - timedelta(minutes=90)
    assert moment("2026-11-24T21:00:00+09:00", NOW) == NOW
    for wrong in ("2026-11-24T21:00:00", "yesterday", "h", "", "999999d", "9" * 20 + "d"):
        with pytest.raises(ValueError, match=r"zone|isoformat|before all time"):
            moment(wrong, NOW)
