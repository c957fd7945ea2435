"""A consumer group on librdkafka for the roles that read in blocks: CONTROL and WAREHOUSE."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import Topic
from streams.runtime.clients import librdkafka
from streams.runtime.errors import MemberTakenError
from streams.runtime.life.vitals import Progress, Reach
from streams.runtime.metrics import PARTITIONS
from streams.runtime.offsets import known
from streams.runtime.settings import Settings
from streams.runtime.transport.holder import is_anothers
from streams.runtime.transport.leaving import leave_group

log = structlog.get_logger(__name__)

BATCH: Final = 5_000
# A member learns by the answer to its heartbeat that partitions move: others wait for the slowest (as in app.py).
HEARTBEAT_MS: Final = 1_000
TIMEOUT_S: Final = 10.0
AGAIN_S: Final = 0.5
# Who was just assigned partitions asks for their offsets for so long: a broker that went again is back within it.
PATIENT_S: Final = 120.0


class GroupReader:
    """A member of a group.  Blocking: call it from a thread, one at a time.

    With a `name` and `worker.static_membership` it is a static member (KIP-345): closed and made anew within the
    session timeout it has what it had.  To be told that its name is taken ends librdkafka's consumer; a broker that was
    killed says so to members who are right (decision 9).  So the group is asked, and where the name is this member's
    own, or nobody's, it joins anew under it.
    """

    def __init__(
        self,
        settings: Settings,
        role: str,
        topics: Sequence[Topic],
        *,
        client_id: str,
        name: str | None = None,
        on_assign: Callable[[list[TopicPartition]], None] | None = None,
        on_revoke: Callable[[list[TopicPartition]], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_assign = on_assign
        self._on_revoke = on_revoke
        self._owned: set[tuple[str, int]] = set()
        self._moved = False
        self._held = False
        self._failed: Exception | None = None
        self._group = f"{settings.kafka.prefix}{role}"
        self._name = name if settings.worker.static_membership else None
        self._client_id = client_id
        self._topics = [settings.topic(topic.name) for topic in topics]
        self._member_id = ""
        self._consumer = self._joining()

    def _joining(self) -> Consumer:
        settings, static = self._settings, {} if self._name is None else {"group_instance_id": self._name}
        consumer = Consumer(
            librdkafka(
                settings.kafka,
                client_id=self._client_id,
                group_id=self._group,
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                heartbeat_interval_ms=HEARTBEAT_MS,
                session_timeout_ms=int(settings.kafka.session_timeout_s * 1000),
                fetch_wait_max_ms=100,
                fetch_message_max_bytes=8 * 1024 * 1024,
                **static,
            )
        )
        consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked)
        return consumer

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._member_id = consumer.memberid()
        self._owned |= {(tp.topic, tp.partition) for tp in partitions}
        PARTITIONS.set(len(self._owned))
        self._held = True  # librdkafka remembers a pause from before, also of a partition that was given up meanwhile
        if self._on_assign is not None:
            self._tell(self._on_assign, partitions)

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        if self._on_revoke is not None:
            self._tell(self._on_revoke, partitions)
        self._owned -= {(tp.topic, tp.partition) for tp in partitions}
        PARTITIONS.set(len(self._owned))

    def _tell(self, callback: Callable[[list[TopicPartition]], None], partitions: list[TopicPartition]) -> None:
        """What is raised here is raised by the poll: through librdkafka's callback it would come out as no exception.

        (confluent_kafka 2.16 raises the KafkaError within it, which is none, and the thread that polls ends.)
        """
        try:
            callback(partitions)
        except Exception as error:  # noqa: BLE001  # as said
            self._failed = error

    def owns(self, topic: str, partition: int) -> bool:
        """Whether this member holds the partition of the declared topic now."""
        return (self._settings.topic(topic), partition) in self._owned

    @property
    def owned(self) -> int:
        """How many partitions this member holds now."""
        return len(self._owned)

    def progress(self) -> Iterator[Progress]:
        """How far the partitions held were read, by what the latest fetch told; nothing is timed by it."""
        for topic, partition in sorted(self._owned):
            try:
                at = self._consumer.position([TopicPartition(topic, partition)])[0].offset
                _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            except (KafkaException, RuntimeError):  # given up, or closed, this moment
                return
            reaches: tuple[Reach, ...] = ()
            if at >= 0 and end >= 0:  # known once a first record came
                name = topic.removeprefix(self._settings.kafka.prefix)
                reaches = (Reach(topic=name, done=at, end=max(at, end)),)
            yield Progress(partition=partition, reaches=reaches, patience_s=math.inf)

    def read(self, timeout_s: float) -> list[Message]:
        """The next records, in order within a partition."""
        if self._held and self._owned:
            self._consumer.resume(self._consumer.assignment())
            self._held = False
        return self._poll(timeout_s)

    def serve(self, timeout_s: float) -> list[Message]:
        """As `read`, but nothing more of what is assigned now: a poll alone keeps the group's word on who owns what."""
        self._consumer.pause(self._consumer.assignment())
        self._held = True
        return self._poll(timeout_s)

    def _poll(self, timeout_s: float) -> list[Message]:
        records: list[Message] = []
        messages = self._consumer.consume(BATCH, timeout=timeout_s)
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        for message in messages:
            error = message.error()
            if error is None:
                self._consumer.store_offsets(message)
                self._moved = True
                records.append(message)
            elif error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001  # librdkafka's name for it
                self._recover(error)
                return []  # what came before it comes again
        return records

    def _recover(self, error: KafkaError) -> None:
        """From a fatal error, whose own code is within its words alone.  Raises what there is no recovery from."""
        if self._name is None or "fenced" not in error.str():
            raise KafkaException(error)
        if is_anothers(self._settings.kafka, self._group, self._name, own_id=self._member_id):
            raise MemberTakenError(self._name)
        log.warning("told that the name is taken, which it is not; joining anew", group=self._group, name=self._name)
        self._consumer.close()
        if self._owned:  # closing gave nothing up
            self._revoked(self._consumer, [TopicPartition(*one) for one in sorted(self._owned)])
        self._moved = False
        self._consumer = self._joining()

    def commit(self) -> None:
        """Commit what was read, if anything; a failure is mended by the next commit."""
        if not self._moved:
            return
        try:
            self._consumer.commit(asynchronous=False)
        except KafkaException:
            return
        self._moved = False

    def commit_offsets(self, offsets: Sequence[TopicPartition]) -> None:
        """Commit just these, with their metadata.  Raises KafkaException."""
        known(self._consumer.commit(offsets=list(offsets), asynchronous=False) or ())

    def committed(self, partitions: Sequence[TopicPartition]) -> list[Any]:
        """What the group committed, with its metadata; asked again while no broker answers.

        Raises KafkaException: not known is not "nothing committed".
        """
        deadline = time.monotonic() + PATIENT_S
        while True:
            try:
                return known(self._consumer.committed(list(partitions), timeout=TIMEOUT_S))
            except KafkaException as error:
                if time.monotonic() > deadline or error.args[0].fatal():
                    raise
                log.warning("committed offsets not told yet", group=self._group, error=error.args[0].str())
                time.sleep(AGAIN_S)

    def assign_at(self, partitions: Sequence[TopicPartition]) -> None:
        """Within `on_assign`: start at these offsets."""
        self._consumer.assign(list(partitions))

    def close(self) -> None:
        """Stop reading; a static member's partitions wait for it, any other leaves the group."""
        self._consumer.close()

    async def leave(self) -> None:
        """After `close`, have a static member leave the group, so that its partitions move at once.

        A failure is logged: the group then notices by the session's timeout.
        """
        if self._name is None:
            return
        try:
            await leave_group(self._settings.kafka, self._group, self._name)
        except (AiokafkaError, TimeoutError, OSError) as error:
            log.warning("did not leave the group", group=self._group, error=repr(error))
