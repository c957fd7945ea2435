"""No input, however bad, stops anything (G8), and none goes without a word (G1)."""

from __future__ import annotations

import pytest

from tests.e2e import malformed
from tests.support.e2e import Box

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_good_mail_goes_and_each_bad_event_has_its_reason(world: Box) -> None:
    """1,000 good, 300 bad of 29 kinds, bad campaigns and bad records: no restart, no traceback, no address in a log."""
    malformed.bad_amid_good(world, good=1_000, bad=300)
