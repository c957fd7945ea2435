"""Any Kafka client, any partitioner, any receiver: kcat in, Postfix's smtp-sink out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import foreign
from tests.e2e.foreign import Sink
from tests.support.e2e import Box, box

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    """The receiver."""
    with foreign.smtp_sink(tmp_path_factory.mktemp("sink") / "mail") as running:
        yield running


@pytest.fixture(scope="module")
def smarthosted(kafka_bootstrap: str, sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """All roles on the session's broker, all mail by one smarthost."""
    data_dir = tmp_path_factory.mktemp("foreign") / "data"
    route = f"smarthost:127.0.0.1:{sink.port}"
    with box(data_dir, bootstrap=kafka_bootstrap, prefix="foreign.", route=route) as made:
        made.egress()
        yield made


def test_events_by_kcat_reach_a_foreign_receiver_once_each(smarthosted: Box, sink: Sink) -> None:
    """lz4, zstd and snappy, keyed by another partitioner or not at all."""
    foreign.kcat_to_smtp_sink(smarthosted, sink, recipients=600)


def test_a_cap_holds_across_partitioners(smarthosted: Box, sink: Sink) -> None:
    """A person is one person, whichever partition upstream's client chose."""
    foreign.cap_across_partitioners(smarthosted, sink, people=100)
