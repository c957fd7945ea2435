"""The runtime at full size, as `evenpost chaos runtime` has it: thirty rounds and more, failover, a rolling restart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from streams.operate.chaos import blows
from streams.operate.chaos.runtime import plan, run
from streams.operate.chaos.runtime.plan import Kind, Plan
from streams.operate.chaos.watching import Watcher
from tests.acceptance.results import recorded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]

# The product's own (settings.py).
SESSION_TIMEOUT_S: Final = 12.0
PARTITIONS: Final = 24
WORKERS: Final = 3
# What docs/runtime-guarantees.md promises, in seconds.
FAILOVER_S: Final = 20.0
GAP_S: Final = 10.0


def survived(folder: Path, planned: Plan) -> dict[str, Any]:
    """Run it; every check must hold.  Returns its figures."""
    base = run.settings(folder, partitions=PARTITIONS, session_timeout_s=SESSION_TIMEOUT_S)
    found = run.torment(base, planned, Watcher(phase=print, note=print, progress=lambda *_: None))
    assert found.ok, [f"{one.name}: {one.value:g} ({one.note})" for one in found.checks if not one.ok]
    return found.figures | {"checks": [one.line() for one in found.checks]}


def planned(*, events: int, rounds: int, seed: int, kinds: Sequence[Kind] = tuple(Kind)) -> Plan:
    """A plan of three workers."""
    return plan.make(seed=seed, rounds=rounds, workers=WORKERS, events=events, kinds=kinds)


def in_turn(of: Plan) -> Plan:
    """The same plan, each worker struck after the other, with time between for all to settle."""
    pause_s = blows.PAUSE_S[1]
    rounds = (
        msgspec.structs.replace(one, draw=(at % WORKERS + 0.5) / WORKERS, pause_s=pause_s)
        for at, one in enumerate(of.rounds)
    )
    return msgspec.structs.replace(of, rounds=tuple(rounds))


def test_two_hundred_thousand_events_under_thirty_two_rounds(tmp_path: Path) -> None:
    """Every kind of blow: each effect exactly once, the table equal to the model, no commit ahead."""
    recorded("chaos-runtime", partial(survived, tmp_path, planned(events=200_000, rounds=32, seed=1)))


def test_failover_of_killed_workers(tmp_path: Path) -> None:
    """Killed, and away for longer than a session: others have their partitions within 20 s."""

    def failover() -> dict[str, Any]:
        of = planned(events=30_000, rounds=6, seed=2, kinds=[Kind.KILL_AWAY])
        figures = survived(tmp_path, of)
        _, longest_s = figures["failover_s"][Kind.KILL_AWAY]
        assert longest_s <= FAILOVER_S
        return figures | {"limit_s": FAILOVER_S}

    recorded("failover", failover)


def test_a_rolling_restart_of_three_workers(tmp_path: Path) -> None:
    """Each in turn by SIGTERM: no event is decided a second time, no partition stands still for 10 s."""

    def rolling() -> dict[str, Any]:
        figures = survived(tmp_path, in_turn(planned(events=20_000, rounds=3, seed=3, kinds=[Kind.RESTART])))
        assert figures["decided_again"] == 0
        assert figures["longest_gap_s"] <= GAP_S
        return figures | {"limit_s": GAP_S}

    recorded("rolling-restart", rolling)
