"""One deployment for the tests of the whole; each test takes tenants of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.e2e import Box, box


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """All roles on an embedded Kafka, with a simulator for receivers, ready to send."""
    with box(tmp_path_factory.mktemp("e2e") / "data", unknown_campaign_wait_s=15.0) as made:
        made.egress()
        yield made
