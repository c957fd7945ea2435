"""Facts: no fence holds them back, so none may go out late."""

from __future__ import annotations

import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from schemas import topics
from streams.runtime.children import spawn
from streams.runtime.errors import TransactionAbortedError
from streams.runtime.partition.facts import Facts, producer_of_facts
from streams.runtime.partition.transactions import Record
from streams.runtime.settings import KafkaSettings
from tests.runtime.builders import deployed, read, until

FACT = Record(topic="t", key=b"k", value=b"v")
SESSION_S = 6.0


def nowhere() -> KafkaSettings:
    """A cluster that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return KafkaSettings(bootstrap=f"127.0.0.1:{port}", session_timeout_s=SESSION_S)


async def test_a_fact_that_is_not_delivered_is_given_up_before_the_session_ends() -> None:
    """Its batch is decided again, by whoever owns the partition then; librdkafka holds nothing of it any more."""
    producer = producer_of_facts(nowhere(), client_id="t")
    facts = Facts(producer, topics=frozenset({"t"}), session_timeout_s=SESSION_S)
    began = time.monotonic()
    with pytest.raises(TransactionAbortedError, match="timed out"):
        await facts.write([FACT], asked=began)
    assert time.monotonic() - began < SESSION_S
    assert producer.pending == 0
    assert producer.close(0.1) == 0


async def test_a_worker_that_slept_after_it_was_confirmed_hands_nothing_over() -> None:
    """It may have a successor meanwhile, which has decided what came later."""
    producer = producer_of_facts(nowhere(), client_id="t")
    facts = Facts(producer, topics=frozenset({"t"}), session_timeout_s=SESSION_S)
    with pytest.raises(TransactionAbortedError, match="confirmed"):
        await facts.write([FACT], asked=time.monotonic() - SESSION_S / 2)
    assert producer.pending == 0
    assert producer.close(0.1) == 0


@pytest.mark.integration
def test_a_worker_that_was_stopped_with_a_fact_in_hand_does_not_write_it_when_it_wakes(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """It sleeps as long as a session: its successor's newer word is to stand."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    topic = settings.topic(topics.SUPPRESSIONS.name)
    program = Path(__file__).with_name("toy_facts.py")
    worker = spawn([sys.executable, program, kafka_bootstrap, topic, str(SESSION_S)], log_file=tmp_path / "log")
    try:
        state = psutil.Process(worker.pid).status
        until(lambda: state() == psutil.STATUS_STOPPED, "the worker to stop")
        asleep = time.monotonic()
        until(lambda: time.monotonic() - asleep > SESSION_S, "the session's end")
        worker.signal(signal.SIGCONT)
        assert worker.wait(30) == 0
    finally:
        worker.signal(signal.SIGCONT)
        worker.stop()
    assert read(settings, topics.SUPPRESSIONS.name) == []
