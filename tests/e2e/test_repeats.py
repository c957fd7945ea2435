"""No second mail, no mail above a cap, no mail to those who left, no mail after a pause."""

from __future__ import annotations

import pytest

from tests.e2e import repeats
from tests.support.e2e import Box

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_a_file_loaded_twice_sends_no_second_mail(world: Box) -> None:
    """The second load ends as `duplicate`, each event."""
    repeats.file_loaded_twice(world, recipients=300)


def test_a_cap_holds_under_five_campaigns_at_once(world: Box) -> None:
    """3 per 7 days is exactly 3 for each person."""
    repeats.cap_under_five_campaigns(world, people=150)


def test_who_unsubscribes_while_mail_waits_gets_none(world: Box) -> None:
    """The list is asked when mail is released, not when it was asked for."""
    repeats.suppressed_while_waiting(world, recipients=1_500)


def test_pause_and_cancel_stop_a_campaign_in_the_middle(world: Box) -> None:
    """What went before counts as accepted, the rest as cancelled, nothing is lost."""
    repeats.paused_then_cancelled(world, recipients=1_500)
