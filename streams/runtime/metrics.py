"""Every metric of Evenpost, declared once: name, kind, labels, what it means, and what to do about it.

`python -m streams.runtime.metrics` writes the table in docs/metrics.md; `/metrics` of each worker exports them in
Prometheus' text form.  Counters end in `_total`, times are in seconds, sizes in bytes.  No label holds an address or
anything else without a small bound.
"""

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY: Final = CollectorRegistry(auto_describe=True)
Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One metric as its reader needs it."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    action: str


DECLARED: Final[list[Declared]] = []

# A commit of an idle partition takes 5-15 ms, one that waits for a broker's restart half a minute.
_COMMIT_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_BATCH_BUCKETS: Final = (1, 5, 20, 50, 100, 200, 500, 1_000)


def _counter(name: str, meaning: str, action: str, *labels: str) -> Counter:
    DECLARED.append(Declared(name=name, kind="counter", labels=labels, meaning=meaning, action=action))
    return Counter(name, meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, action: str, *labels: str) -> Gauge:
    DECLARED.append(Declared(name=name, kind="gauge", labels=labels, meaning=meaning, action=action))
    return Gauge(name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, action: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    DECLARED.append(Declared(name=name, kind="histogram", labels=labels, meaning=meaning, action=action))
    return Histogram(name, meaning, labels, registry=REGISTRY, buckets=buckets)


# ── who owns what ────────────────────────────────────────────────────────────────────────────────────────────────────
WORKER = _gauge(
    "evenpost_worker_info", "1, with the worker's role, member name and version.", "None.", "role", "member", "version"
)
PARTITIONS = _gauge(
    "evenpost_partitions_owned",
    "Partition numbers that this worker owns (fenced and recovered, where that applies).",
    "0 for longer than a minute: more workers than partitions, or a group that does not settle; see the worker's log.",
)
REBALANCES = _counter(
    "evenpost_rebalances_total",
    "Assignments that this worker was given.",
    "More than one a minute: workers die or sessions time out; look at evenpost_loop_delay_seconds and restarts.",
)
PLAN_REQUESTS = _counter(
    "evenpost_plan_requests_total",
    "Times that this worker asked its group for a new plan, since a slot's address is with another worker.",
    "More than a few after a change of egress: two workers don't see the same `egress`, or addresses come and go.",
)
SLOTS_WITHOUT_ADDRESS = _gauge(
    "evenpost_slots_without_address",
    "Slots owned here that bind an address which no worker of the group has; their mail comes back and waits.",
    "Above 0: give the address to a host (or name it in smtp.addresses), or correct the slot's `via`.",
)
LOOP_DELAY = _gauge(
    "evenpost_loop_delay_seconds",
    "How late the worker's event loop last ran a timer.",
    "Above 1 s: the worker has too much for one core; add workers of its role.",
)

# ── events in ────────────────────────────────────────────────────────────────────────────────────────────────────────
EVENTS = _counter("evenpost_events_total", "Source events taken over by their partition's owner.", "None.", "topic")
REPEATED = _counter(
    "evenpost_repeated_events_total",
    "Source events delivered again though a committed transaction holds what they caused; they emit nothing.",
    "A burst after a restart is as it should be; a steady rate: offsets are not committed, see the worker's log.",
    "topic",
)
LAG = _gauge(
    "evenpost_lag_events",
    "Source events of an owned partition that are not done yet.",
    "Growing on all partitions: add workers of the role. Growing on one: its owner is held up, see its log.",
    "topic",
    "partition",
)
COMMIT_FAILURES = _counter(
    "evenpost_commit_failures_total",
    "Offset commits that failed; they are tried again, and a restart before that repeats events.",
    "More than a few: the group's coordinator is away or the worker was put out of the group.",
)
FAILURES = _counter(
    "evenpost_event_failures_total",
    "Times that handling an event raised: each try of the same event counts.",
    "Any: a bug or a record that no code foresaw; the log has the traceback, dead-letters the record.",
    "topic",
)
DEAD_LETTERS = _counter(
    "evenpost_dead_letters_total",
    "Records written to dead-letters by this worker.",
    "Read them (`evenpost dead-letters list`), mend the cause, then `evenpost dead-letters replay`.",
    "topic",
)
FUSE = _gauge(
    "evenpost_fuse_share",
    "Share of the latest events that ended in dead-letters by an error of ours; the worker stops when it passes the "
    "setting worker.fuse_share.",
    "Above 0.01: roll the latest deploy back; nothing is lost, the worker stops before it empties the topic.",
)

# ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────────────
TRANSACTIONS = _counter(
    "evenpost_transactions_total",
    "Transactions by result: committed, aborted (decided again), fenced (the partition was given up and taken anew).",
    "fenced at a steady rate: two workers take the same partition, or the broker times transactions out.",
    "result",
)
COMMIT_SECONDS = _histogram(
    "evenpost_commit_seconds",
    "Time from the first produce of a batch to its commit.",
    "p99 above 0.25 s: the broker is slow; look at its disk and at its request queue.",
    buckets=_COMMIT_BUCKETS,
)
BATCH = _histogram(
    "evenpost_batch_events", "Source events decided in one transaction.", "None.", buckets=_BATCH_BUCKETS
)

# ── state ────────────────────────────────────────────────────────────────────────────────────────────────────────────
TABLE_BYTES = _gauge(
    "evenpost_table_bytes",
    "Bytes on disk of a partition's table.",
    "Keep free disk of twice the sum: compaction writes before it deletes.",
    "table",
    "partition",
)
RECOVERY_SECONDS = _gauge(
    "evenpost_recovery_seconds",
    "How long the last recovery of a partition's table took.",
    "Above 60 s: the local state was gone; keep data_dir on a volume that outlives the process.",
    "table",
    "partition",
)
RECOVERED = _counter("evenpost_recovered_records_total", "Changelog records read in recoveries.", "None.", "table")
VIEW_LAG = _gauge(
    "evenpost_view_lag_records",
    "Records of a compacted topic that the worker's view has not folded in.",
    "Above 0 for longer than 3 s: the worker holds its work; look at the broker and at the topic's size.",
    "topic",
)
VIEW_AGE = _gauge(
    "evenpost_view_age_seconds",
    "Time since the view last confirmed that it has read all there is.",
    "Above 3 s the worker decides nothing and sends nothing: a leader does not answer.",
)
VIEW_READY = _gauge(
    "evenpost_view_ready_seconds", "How long the views took to be ready at the start.", "Above 30 s: see docs/sres.md."
)

# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
OUTPUTS = _counter("evenpost_outputs_total", "Records produced, aborted ones counted as well.", "None.", "topic")
PRODUCER_QUEUE = _gauge(
    "evenpost_producer_queue_records",
    "Records in the producer's queue.",
    "Near 100,000: the broker takes less than the worker makes; the worker waits, nothing is lost.",
)
PRODUCER_WAITS = _counter(
    "evenpost_producer_waits_total", "Times that a full queue of the producer made the worker wait.", "As above."
)
PRODUCE_FAILURES = _counter(
    "evenpost_produce_failures_total",
    "Records whose delivery failed for good; what caused them is not acked, and so done again.",
    "Any: the log names the error; a record too large, a missing topic or a missing right.",
)
