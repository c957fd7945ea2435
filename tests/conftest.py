"""What holds for every test.

- The shared fixtures.
- Nothing is skipped where all is installed (CI=true).
- Where workers share the tests (`make test`), one has all of a file, and one has all that share the e2e world: what a
  module or a package sets up, it sets up once.
- The groups that take longest are first, so that no worker has minutes to go when there is nothing left for the others.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Final, TypeVar

import pytest
from hypothesis import settings

ROOT: Final = Path(__file__).parent
# The tests of the e2e world, from several files: 190 s of two idle cores.
WORLD: Final = "world"
# Groups of more than half a minute there, the longest first.
LONGEST: Final = (
    WORLD,
    "operate/chaos/runtime/test_run.py",
    "e2e/test_demo.py",
    "operate/chaos/edge/test_run.py",
    "runtime/test_broker_away.py",
    "runtime/partition/test_partition_loop.py",
    "operate/test_up.py",
    "e2e/test_foreign_client.py",
    "operate/bench/spread/test_run.py",
    "operate/bench/test_runtime.py",
    "operate/bench/test_state.py",
    "runtime/partition/test_outbox_broker_away.py",
    "runtime/life/test_watchdog.py",
)

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

pytest_plugins = ["tests.support.fixtures"]

# An example's time is the machine's, not the fact's: with a broker beside it any may take longer than 0.2 s.
settings.register_profile("evenpost", deadline=None)
settings.load_profile("evenpost")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's group, and have the longest ones first; within a group all stays in its order."""
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    ranks = {group: rank for rank, group in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(groups[item], len(LONGEST)))


def _group(item: pytest.Item) -> str:
    return WORLD if WORLD in getattr(item, "fixturenames", ()) else item.path.relative_to(ROOT).as_posix()


def _no_skip(report: Report) -> Report:
    """A skip is a failure in CI: a missing tool there is a hole in the tests."""
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI skips nothing: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a test's skip into a failure in CI."""
    return _no_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a module's skip into a failure in CI."""
    return _no_skip((yield))
