"""What a bench stands on: a broker, a prefix that nobody else has, and a source topic filled with the input.

The embedded broker in the bench's own folder, or, where `kafka.bootstrap` names a cluster, that one: then the topics
and groups are deleted again.
"""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from schemas.topics import Topic
from streams.operate.bench import events
from streams.operate.bench.workloads import PARTITIONS, SOURCE, Task
from streams.runtime import scratch_topics
from streams.runtime.cluster import Publisher, check_reachable, with_bootstrap
from streams.runtime.embedded import EmbeddedKafka
from streams.runtime.settings import KafkaSettings, Settings


@contextlib.contextmanager
def broker(base: Settings, folder: Path) -> Iterator[Settings]:
    """Settings of a deployment of its own.  Raises ClusterUnreachableError or EmbeddedError."""
    # A measured process leaves its group when it ends: nobody waits for it to come back.
    base = base.model_copy(update={"worker": base.worker.model_copy(update={"static_membership": False})})
    prefix = f"{base.kafka.prefix}bench-{uuid.uuid4().hex[:8]}."
    if base.kafka.bootstrap is None:
        with EmbeddedKafka(folder) as kafka:
            alone = base.model_copy(update={"data_dir": folder, "kafka": KafkaSettings(prefix=prefix)})
            yield with_bootstrap(alone, kafka.bootstrap)
        return
    kafka_settings = base.kafka.model_copy(update={"prefix": prefix})
    settings = base.model_copy(update={"data_dir": folder, "kafka": kafka_settings})
    check_reachable(settings)
    try:
        yield settings
    finally:
        scratch_topics.delete(settings, prefix)


def fill(settings: Settings, count: int) -> None:
    """Make the source topic and put the input there."""
    scratch_topics.make(settings, {settings.topic(SOURCE): PARTITIONS})
    source = scratch(SOURCE)
    with Publisher(settings, client_id="evenpost-bench") as publisher:
        for key, value in events.make(count):
            publisher.send(source, key, value)


def make_outputs(settings: Settings, task: Task) -> None:
    """The topics that a task writes to: its own, and empty."""
    outputs = {settings.topic(name): PARTITIONS for name in (task.output, task.changelog)}
    scratch_topics.make(settings, outputs)


def scratch(name: str) -> Topic:
    """A topic of the bench, for who reads and writes declared ones."""
    return Topic(
        name=name,
        key="person",
        width="one",
        retention_ms=None,
        owner="bench",
        events=(),
        summary="Of a bench, for as long as it runs.",
        committed=True,
    )
