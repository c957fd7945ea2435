"""Events that no dealer of ours made: each has its end, and the slot goes on (G8)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from schemas.events import Destination
from tests.agents.slot.builders import sends, slot
from tests.runtime.builders import read
from tests.support.receiver import Receiver

pytestmark = pytest.mark.integration


async def test_events_that_are_no_sends_are_buried_with_the_rest_untouched(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """G8, in the slot's own transaction: one letter."""
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        one.deal(sends(1))
        one._lane[0].value = b"\xff{"
        one.deal(sends(2)[1:])
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 1, "the good one is accepted")
            await one.until(lambda: one.committed()[0] == 2, "both are done")
        (letter,) = read(one.settings, "dead-letters")
    assert dict(letter.headers() or ())["reason"] == b"malformed"


async def test_a_send_whose_address_is_none_ends_and_the_others_go(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """No dealer of ours made it: it has a letter, and the slot goes on (G8)."""
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        bad, *good = sends(3)
        one.deal([msgspec.structs.replace(bad, to=Destination(address="nobody")), *good])
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 2, "the good ones are accepted")
            await one.until(lambda: one.committed()[0] == 3, "all are done")
        (letter,) = read(one.settings, "dead-letters")
    assert dict(letter.headers() or ())["reason"] == b"internal error"
