"""Asks the cluster, from aside, whether it answers for a partition that stands still.

A worker whose cluster is away stands still as well, and to start it anew helps nobody.  Its own clients can't tell: one
that is wedged looks like one whose broker is away.  So a client that is made for the question asks what the worker
needs to move: the group's coordinator for the committed offset, the partition's leader for its end.

A broker that answers with a refusal answers.  Blocking, and bounded: where librdkafka does not come back, the call is
left behind in its thread.
"""

import threading
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.life.vitals import NO_PARTITION, Progress
from streams.runtime.observer import ANSWER_S, Observer
from streams.runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)

# Two questions, and a client made and closed: a tenth of a second each, more where the cores are busy.
LIMIT_S: Final = 2 * ANSWER_S + 6.0
# What is said where no broker, or none that knows, answers.  librdkafka's own codes have names with an underscore.
_AWAY: Final = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001  # as above
        KafkaError._TRANSPORT,  # noqa: SLF001  # as above
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  # as above
        KafkaError._RESOLVE,  # noqa: SLF001  # as above
        KafkaError._WAIT_COORD,  # noqa: SLF001  # as above
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)


def cluster_answers(kafka: KafkaSettings, group: str, still: Progress) -> bool:
    """Whether the group's coordinator and the leaders of what stands still answer now."""
    places = [(f"{kafka.prefix}{reach.topic}", still.partition) for reach in still.reaches if reach.lag]
    if still.partition == NO_PARTITION or not places:
        return True  # a role that takes turns says by itself (`held`) that it waits for Kafka
    answers: list[str | None] = []

    def ask() -> None:
        answers.append(_away(kafka, group, places))

    thread = threading.Thread(target=ask, name="asks-cluster", daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    away = answers[0] if answers else f"not within {LIMIT_S:.0f} s"
    if away is not None:
        topic, partition = places[0]
        log.warning(
            "partition stands still, and the cluster does not answer for it: the worker waits on",
            topic=topic.removeprefix(kafka.prefix),
            partition=partition,
            error=away,
        )
    return away is None


def _away(kafka: KafkaSettings, group: str, places: list[tuple[str, int]]) -> str | None:
    """What keeps the cluster from an answer; None where it answers."""
    observer = Observer(kafka, group)
    try:
        observer.committed(places)
        observer.ends(places, "high")
    except ClusterUnreachableError as error:
        cause = error.__cause__
        known = isinstance(cause, KafkaException) and cause.args[0].code() not in _AWAY
        return None if known else str(cause)
    finally:
        observer.close()
    return None
