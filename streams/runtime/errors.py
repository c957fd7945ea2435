"""What goes wrong in the runtime.

RuntimeFault
├── FencedError               another worker owns the partition now, or nobody can say: give it up, take it anew
├── TransactionAbortedError   nothing of the batch happened: decide it again
├── ClusterUnreachableError   no broker answered: address and fix
└── TopicMismatchError        a topic exists in another shape than declared
"""


class RuntimeFault(Exception):  # noqa: N818  # the tree's root is no error by itself
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
