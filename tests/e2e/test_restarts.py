"""Roles and broker come and go in the middle of mail; nothing is lost, and duplicates are bounded."""

from __future__ import annotations

import pytest

from tests.e2e import restarts
from tests.support.e2e import Box

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_an_orderly_end_of_each_role_and_the_broker_loses_and_doubles_nothing(world: Box) -> None:
    """What is past MAIL FROM finishes, the rest waits for the next process; each mail arrives once."""
    restarts.ended_in_order(world, recipients=4_000)


def test_a_kill_of_gate_sender_and_warehouse_loses_nothing(world: Box) -> None:
    """Each event has one end, and at most what was on open connections went twice."""
    restarts.killed(world, recipients=2_000)


def test_a_broker_that_hangs_for_longer_than_a_session_delays_and_loses_nothing(world: Box) -> None:
    """Every member is put out of its group, every open transaction ends; all find back by themselves."""
    restarts.broker_hangs(world, recipients=1_500, seconds=9)  # a session lasts 6 s, a transaction 5 s
