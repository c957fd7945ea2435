"""A broker that is killed under an outbox: each effect counts once, whichever owner said it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.partition.broker_killed import survived

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


async def test_each_effect_counts_once_though_the_broker_is_killed(tmp_path: Path, topic_prefix: str) -> None:
    """Killed under load and started at once; tests/acceptance has it away for 15 s."""
    await survived(tmp_path, topic_prefix, away_s=0.0)
