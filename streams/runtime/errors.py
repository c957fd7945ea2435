"""What goes wrong in the runtime.

RuntimeFault
├── FencedError               another worker owns the partition now, or nobody can say: give it up, take it anew
├── TransactionAbortedError   nothing of the batch happened: decide it again
│   └── RecordRefusedError    as above, for a record that no broker will ever take: find its event
├── ForbiddenError            the cluster does not let us own a partition: no time mends that
├── LostEventError            an event has no owner in the generation it was read in: nothing may be committed past it
├── OwnerStuckError           an owner does not stop: the process ends, or the group would wait for it
├── FuseBlownError            too many events end in dead letters by an error of ours: a person must look
├── MemberTakenError          another process joined the group under this member's name: this one ends
├── ClusterUnreachableError   no broker answered: address and fix
├── NoBrokerError             no address of a broker is known, and no embedded one runs
├── NoWarehouseError          no SQL endpoint is known, and no warehouse worker runs here
├── OpenTransactionError     a transaction that does not end hides what stands behind it
├── TopicMissingError         a declared topic was never created
├── TopicMismatchError        a topic exists in another shape than declared
├── KeyMissingError           a secret key is not on this machine, and a new one would be another
└── PublishFailedError        records did not reach Kafka
"""

from collections.abc import Sequence
from pathlib import Path


class RuntimeFault(Exception):  # the tree's root is no error by itself
    """Root of the runtime's own errors."""


class FencedError(RuntimeFault):
    """This producer is not, or not certainly, the owner any more."""

    def __init__(self, transactional_id: str, reason: str) -> None:
        super().__init__(f"{transactional_id} is fenced: {reason}")
        self.transactional_id = transactional_id


class TransactionAbortedError(RuntimeFault):
    """The transaction was aborted: no record and no offset of it counts."""

    def __init__(self, transactional_id: str, reason: str) -> None:
        super().__init__(f"a transaction of {transactional_id} was aborted: {reason}")
        self.transactional_id = transactional_id


class RecordRefusedError(TransactionAbortedError):
    """The transaction was aborted since one of its records is refused for what it is: it would be again."""


class ForbiddenError(RuntimeFault):
    """The cluster refuses what an owner must do; it will do so until somebody changes its rights or settings."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name!r} may not own its partition: {reason}; give the worker's principal Write and Describe on "
            "TransactionalId, Read on Group, and Write on the topics of its role"
        )


class LostEventError(RuntimeFault):
    """An event came for a partition that has no owner here, though its generation is the current one."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        super().__init__(
            f"the event at {topic}[{partition}] {offset} has no owner in this worker: a defect; the worker ends, and "
            "the event is read again"
        )


class OwnerStuckError(RuntimeFault):
    """Owners of partitions that were taken away did not stop."""

    def __init__(self, partitions: Sequence[int], *, limit_s: float) -> None:
        super().__init__(
            f"the owner(s) of partition(s) {', '.join(map(str, partitions))} did not stop within {limit_s:.0f} s, and "
            "the group waits for them: the worker ends and is to be started anew; what they had begun, the next owner "
            "finds committed or decides anew. Look for a broker or a disk that does not answer"
        )


class FuseBlownError(RuntimeFault):
    """More events than `worker.fuse_share` allows ended by an error of ours; the batch was not committed."""

    def __init__(self, *, failed: int, of: int, share: float) -> None:
        super().__init__(
            f"{failed} of the latest {of} events failed by errors of ours, more than worker.fuse_share = {share:g} "
            "allows; the worker stops before it empties the topic: mend what the log's tracebacks show, or roll the "
            "deploy back; to let the rest through as it is, set EVENPOST_WORKER__FUSE_SHARE=1"
        )
        self.failed = failed
        self.of = of


class MemberTakenError(RuntimeFault):
    """Another process joined the group under this member's name (KIP-345); what it owned is that one's now."""

    def __init__(self, member: str, where: str = "") -> None:
        super().__init__(
            f"another process{where} runs as member {member!r}: this one ends, or both would take turns; stop one of "
            "them, or give each a name of its own (--member)"
        )
        self.member = member


class ClusterUnreachableError(RuntimeFault):
    """No broker answered at the bootstrap address."""

    def __init__(self, bootstrap: str | None, reason: str) -> None:
        super().__init__(
            f"no Kafka broker answers at kafka.bootstrap = {bootstrap!r} ({reason}); "
            "start the cluster, or correct EVENPOST_KAFKA__BOOTSTRAP"
        )


class TopicMismatchError(RuntimeFault):
    """A topic has another number of partitions than declared; keys would land elsewhere."""

    def __init__(self, topic: str, *, found: int, declared: int) -> None:
        super().__init__(
            f"topic {topic!r} has {found} partitions, the settings say {declared}; "
            "partitions are fixed at creation: correct kafka.gate_partitions or kafka.slots"
        )


class NoBrokerError(RuntimeFault):
    """`kafka.bootstrap` is not set and the data directory has no running broker."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"no broker: none runs on data_dir = {data_dir}; run `evenpost up` or set EVENPOST_KAFKA__BOOTSTRAP"
        )


class NoWarehouseError(RuntimeFault):
    """`clickhouse.dsn` names no server and no warehouse worker answers SQL on this machine."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"no warehouse: none answers SQL for data_dir = {data_dir}; "
            "run `evenpost up` or set EVENPOST_CLICKHOUSE__DSN"
        )


class OpenTransactionError(RuntimeFault):
    """Records stand behind a transaction that stays open."""

    def __init__(self, topic: str, partitions: Sequence[int], *, waited_s: float) -> None:
        numbers = ", ".join(map(str, partitions))
        super().__init__(
            f"topic {topic!r}, partition(s) {numbers}: a transaction has been open for {waited_s:.0f} s and hides what "
            "stands behind it; run the command again, and where it stays so, `kafka-transactions.sh find-hanging` "
            "names it and `abort` ends it"
        )


class TopicMissingError(RuntimeFault):
    """A declared topic is not on the cluster."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"topic {topic!r} does not exist; run `evenpost topics apply`, or correct EVENPOST_KAFKA__PREFIX"
        )


class PublishFailedError(RuntimeFault):
    """Some records did not reach Kafka; those that did stay."""

    def __init__(self, *, failed: int, reason: str) -> None:
        super().__init__(f"{failed} record(s) did not reach Kafka: {reason}; correct that and run the command again")
        self.failed = failed


class KeyMissingError(RuntimeFault):
    """A secret key of the deployment is not here."""

    def __init__(self, name: str, path: object, *, setting: str | None = None) -> None:
        super().__init__(
            f"the deployment's key {name!r} is not here: {path} does not exist; copy it from where Evenpost runs, "
            f"or set {setting or f'EVENPOST_SECRETS__{name.upper()}'}"
        )
