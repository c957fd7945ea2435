"""What holds for every test.

- The shared fixtures.
- Nothing is skipped where all is installed (CI=true).
- Workers share the tests by groups (tests/support/groups.py).
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

pytest_plugins = ["tests.support.fixtures", "tests.support.groups"]

# An example's time is the machine's, not the fact's: with a broker beside it any may take longer than 0.2 s.
settings.register_profile("evenpost", deadline=None)
settings.load_profile("evenpost")


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
