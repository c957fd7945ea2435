"""A slot's outbox, at full size: the broker is away for longer than any transaction may stay open."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.partition.broker_killed import survived

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

AWAY_S = 15.0
ROUNDS = 5


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_each_effect_counts_once_though_the_broker_is_away(
    tmp_path: Path, topic_prefix: str, number: int
) -> None:
    """Killed under load and away for 15 s, five times: the broker's own timer ends the transaction meanwhile."""
    await survived(tmp_path, f"{topic_prefix}{number}.", away_s=AWAY_S)
