"""The spine at full size: what tests/e2e shows small, with the numbers that were promised."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.results import recorded
from tests.e2e import foreign, malformed, repeats, restarts
from tests.support.e2e import Box, box

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """All roles on an embedded Kafka, with a simulator for receivers, ready to send."""
    with box(tmp_path_factory.mktemp("acceptance") / "data", unknown_campaign_wait_s=15.0) as made:
        made.egress()
        yield made


def test_a_thousand_bad_events_amid_five_thousand_good(world: Box) -> None:
    """All good delivered, each bad one with its reason, no restart."""
    recorded("malformed", partial(malformed.bad_amid_good, world, good=5_000, bad=1_000))


def test_a_file_loaded_twice(world: Box) -> None:
    """No second mail."""
    recorded("loaded-twice", partial(repeats.file_loaded_twice, world, recipients=10_000))


def test_five_campaigns_under_one_cap(world: Box) -> None:
    """Exactly 3 each."""
    recorded("cap", partial(repeats.cap_under_five_campaigns, world, people=2_000))


def test_a_suppression_while_ten_thousand_wait(world: Box) -> None:
    """None of its mail goes."""
    recorded("suppressed-while-waiting", partial(repeats.suppressed_while_waiting, world, recipients=10_000))


def test_pause_and_cancel(world: Box) -> None:
    """In the middle of a paced campaign."""
    recorded("pause-cancel", partial(repeats.paused_then_cancelled, world, recipients=5_000))


def test_each_role_and_the_broker_end_amid_twenty_thousand(world: Box) -> None:
    """SIGTERM and start again: nothing lost, nothing twice."""
    recorded("restarts", partial(restarts.ended_in_order, world, recipients=20_000))


def test_gate_sender_and_warehouse_are_killed_amid_twenty_thousand(world: Box) -> None:
    """SIGKILL, five times each: nothing lost, duplicates bounded."""
    recorded("kills", partial(restarts.killed, world, recipients=20_000, kills=5))


def test_a_broker_that_hangs(world: Box) -> None:
    """Half a minute: every session and every transaction times out."""
    recorded("broker-hangs", partial(restarts.broker_hangs, world, recipients=10_000, seconds=30))


def test_foreign_client_and_receiver(kafka_bootstrap: str, tmp_path: Path) -> None:
    """In by kcat, out to smtp-sink; and a cap across partitioners."""
    with (
        foreign.smtp_sink(tmp_path / "mail") as sink,
        box(
            tmp_path / "data",
            bootstrap=kafka_bootstrap,
            prefix="foreign.",
            route=f"smarthost:127.0.0.1:{sink.port}",
        ) as smarthosted,
    ):
        smarthosted.egress()
        recorded("foreign-client", partial(foreign.kcat_to_smtp_sink, smarthosted, sink, recipients=10_000))
        recorded("foreign-cap", partial(foreign.cap_across_partitioners, smarthosted, sink, people=2_000))
