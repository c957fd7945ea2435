"""Providers block sending IPs: one blocks one, one blocks all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import blocked as provider
from tests.support.e2e import Box, box

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """All roles, four IPs, and receivers that block some of them."""
    data_dir = tmp_path_factory.mktemp("e2e") / "data"
    with box(data_dir, providers=provider.PROVIDERS, simulated=provider.blocks()) as made:
        made.egress()
        yield made


def test_a_blocked_ips_mail_moves_and_nobody_else_is_harmed(blocked: Box) -> None:
    """One IP at one provider: three refusals, then its mail goes over the other IPs; the rest goes as before."""
    provider.one_ip_blocked(blocked, mails=480)


def test_where_all_are_blocked_mail_waits_until_its_time_is_over(blocked: Box) -> None:
    """No IP is left there: untried it ends as `expired`, and the other provider's mail is all accepted."""
    provider.all_ips_blocked(blocked, mails=240, lives_s=50)
