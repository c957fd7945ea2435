"""What mailbox providers see of a pool; at full size in tests/acceptance/test_shaping.py."""

from __future__ import annotations

import pytest

from tests.e2e import dilution
from tests.e2e.receiver_log import between, busiest, minutes
from tests.support.e2e import Box


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_one_tenant_s_bad_list_is_everybody_s_in_equal_parts(world: Box) -> None:
    """Each IP's bounce rate is the pool's, within what chance does."""
    dilution.diluted(world, mails=1_000)


def test_what_is_measured_on_the_log_is_what_is_there() -> None:
    """Sliding windows, whole minutes and spans of sorted times."""
    at = [0.0, 1.0, 1.5, 2.0, 61.0, 119.0, 121.0]
    assert between(at, 1.0, 2.0) == 2
    assert [busiest(at, seconds) for seconds in (1.0, 1.1, 60.0, 200.0)] == [2, 3, 4, 7]
    assert list(minutes(at, 0.0, 121.0)) == [4, 2]
