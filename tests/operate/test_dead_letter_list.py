"""A dead letter in words: reason, coordinates, and its first bytes without addresses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from streams.operate.dead_letter_list import LOOKED_AT, SHOWN, described
from streams.runtime.cluster import KafkaRecord
from streams.runtime.dead_letters import DeadLetter


def letter(value: bytes, headers: Mapping[str, bytes] | None = None) -> KafkaRecord:
    """A dead letter."""
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return KafkaRecord(partition=0, offset=7, key="", value=value, at=at, headers=headers or {})


def test_reason_and_coordinates_come_from_the_headers() -> None:
    """Where the event stood is what one looks it up by."""
    buried = DeadLetter(
        role="gate", topic="recipients.marketing", partition=3, offset=12, key=None, value=b"{", reason="truncated"
    )
    found = described(letter(b"{", buried.headers()))
    assert (found["reason"], found["topic"], found["partition"], found["offset"]) == (
        "truncated", "recipients.marketing", 3, 12,
    )  # fmt: skip


def test_addresses_are_masked_also_at_the_cut() -> None:
    """The text is cut after masking: half an address would not be known as one."""
    found = described(letter(b"x" * (SHOWN - 4) + b" taro@docomo.example"))
    assert "taro" not in found["start"] and "docomo" not in found["start"]


def test_any_bytes_can_be_shown() -> None:
    """Control characters never reach the terminal, missing headers are empty, size is the whole."""
    found = described(letter(b"\x1b[31m\x00\xff" + b"a" * LOOKED_AT))
    assert "\x1b" not in found["start"] and "\\x1b" in found["start"]
    assert found["bytes"] == LOOKED_AT + 7
    assert found["reason"] == "" and found["partition"] is None
