"""Which tests go to one worker where workers share them (`make test`), and in which order.

1. A file's tests stay together, and so do those of all files that share the e2e world: what a module or a package sets
   up, brokers above all, it sets up once.  xdist 3.8's own groups rest on an id that pytest 9.2 does not read any more.
2. The groups that take longest are first, so that no worker has minutes to go when nothing is left for the others.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

WORLD: Final = "world"
# The files whose tests share the fixture `world` of tests/e2e: together 190 s of two idle cores.
IN_WORLD: Final = frozenset(
    f"tests/e2e/test_{name}.py" for name in ("malformed", "repeats", "restarts", "shaping", "windows_and_surges")
)
# Groups of about half a minute or more there, the longest first.
LONGEST: Final = (
    WORLD,
    "tests/e2e/test_blocked.py",
    "tests/operate/chaos/runtime/test_run.py",
    "tests/e2e/test_demo.py",
    "tests/operate/chaos/edge/test_run.py",
    "tests/runtime/test_broker_away.py",
    "tests/operate/bench/pipeline/test_run.py",
    "tests/runtime/partition/test_partition_loop.py",
    "tests/operate/bench/spread/test_run.py",
    "tests/agents/slot/test_holding.py",
    "tests/operate/bench/test_runtime.py",
    "tests/e2e/test_foreign_client.py",
    "tests/runtime/life/test_watchdog.py",
    "tests/operate/bench/test_state.py",
    "tests/runtime/partition/test_outbox_broker_away.py",
    "tests/operate/test_up.py",
)


def group(nodeid: str) -> str:
    """The group of a test, by its file."""
    file = nodeid.partition("::")[0]
    return WORLD if file in IN_WORLD else file


class Groups(LoadScopeScheduling):
    """xdist's scheduler by scopes, a scope being a group."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """Ours, whatever `--dist` says."""
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups first; within a group all stays in its order."""
    ranks = {one: rank for rank, one in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(group(item.nodeid), len(LONGEST)))
