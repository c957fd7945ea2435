"""Ten millions of suppressions and of persons: ready in time, within memory, and every answer right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.operate.bench.state import run
from streams.runtime.settings import Settings
from tests.acceptance.results import recorded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]

TEN_MILLIONS = 10_000_000


def test_ten_millions_of_each(tmp_path: Path) -> None:
    """The list ready within 30 s of a kill, below 1 GB, lookups below 50 us; the table recovered within 60 s."""

    def scenario() -> dict[str, Any]:
        result = run(Settings(), tmp_path, print, persons=TEN_MILLIONS, suppressions=TEN_MILLIONS)
        failed = [one for one in result.checks if not one.ok]
        assert not failed, f"{failed}; all: {result.figures}"
        return {"checks": [one.line() for one in result.checks], **result.figures}

    recorded("state", scenario)
