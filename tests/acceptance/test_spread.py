"""A million decisions of three gates, as `evenpost bench spread --events 1000000` has them: even in every window."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from streams.operate.bench.spread import plan, run, verdict
from streams.operate.chaos.watching import Watcher
from tests.acceptance.results import recorded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]

EVENTS: Final = 1_000_000
# Each worker is killed twice and restarted twice, in turn.
RESTARTS: Final = 12


def test_a_million_decisions(tmp_path: Path) -> None:
    """Every sequence within its bound, windows of 10,000 among them; random dealing and forgotten counters refused."""

    def scenario() -> dict[str, Any]:
        planned = plan.make(seed=1, events=EVENTS, restarts=RESTARTS)
        watcher = Watcher(phase=print, note=print, progress=lambda *_: None)
        found = run.spread(tmp_path, planned, watcher, session_timeout_s=6.0)
        judged = verdict.checks(found)
        failed = [f"{one.name}: {one.value:g} ({one.note})" for one in judged if not one.ok]
        assert not failed, failed
        assert found.evenness.of_length[10_000].count > 0
        return verdict.figures(found) | {"checks": [one.line() for one in judged]}

    recorded("spread", scenario)
