"""Every metric of Evenpost, declared once: name, kind, labels, what it means, and what to do about it.

`python -m streams.runtime.metrics_page` writes docs/metrics.md from it; `/metrics` of each worker exports them in
Prometheus' text form.  Counters end in `_total`, times are in seconds, sizes in bytes.  Each label's values come from
a set with a bound, named in LABELS: every value is a series, on every worker, for as long as Prometheus remembers.
"""

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

REGISTRY: Final = CollectorRegistry(auto_describe=True)
# One more series for each counter, and Prometheus tells a restart from the value alone.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own
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
# What bounds each label's values.  There is none for tenants, campaigns, slots or addresses: the first two are as many
# as customers like, the last is nobody's business here, and `deliveries` in ClickHouse answers for all of them.
LABELS: Final[dict[str, str]] = {
    "role": "the five roles",
    "member": "this worker's own name",
    "version": "this worker's own version",
    "topic": "the topics that schemas/topics.py declares",
    "partition": "partitions of one topic, 1,000 at most; only those owned here",
    "table": "the tables of the role",
    "result": "committed, aborted, fenced",
    "type": "the types of a delivery (docs/deliveries.md)",
    "class": "the classes in streams/delivery/replies.toml and streams/delivery/outcomes.py",
    "lane": "transactional, marketing",
    "state": "compiled, refused",
    "duty": "the duties in agents/control/",
    "pool": "the pools that `egress` names, a handful",
    "reason": "the reasons of a suppression",
    "rule": "the rules of automation.toml, of the operator's file, and four of ours",
    "provider": "the providers of streams/delivery/rollup.toml, and other",
    "health": "throttled, blocked",
    "oddity": "forwarded, replayed, returns_ignored, rows_lost",
}

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


# One SMTP transaction takes 20 ms to a near host, a slow one seconds, and the end of the data may take 10 minutes.
_ATTEMPT_BUCKETS: Final = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 600.0)
# A broker answers in a millisecond or two; while a transaction is committed, an intent waits 10 to 20.
_INTENT_BUCKETS: Final = (
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 5.0,
)  # fmt: skip
# ClickHouse takes 20,000 rows in 50-500 ms; a merge or a slow disk makes it seconds.
_INSERT_BUCKETS: Final = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)


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
EVENTS = _counter(
    "evenpost_events_total", "Source events that are done: what they caused is durable.", "None.", "topic"
)
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
    "Time to commit: of a batch from its first produce, of a slot's open transaction from when nothing more goes in.",
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
OUTPUTS = _counter(
    "evenpost_outputs_total",
    "Records that are durable in Kafka, those of a transaction once it is committed.",
    "None.",
    "topic",
)
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

# ── gate and sender ──────────────────────────────────────────────────────────────────────────────────────────────────
OUTCOMES = _counter(
    "evenpost_outcomes_total",
    "Deliveries by type, final and not, as gate and sender decided them; a gate's aborted batch counts again.",
    "Many rejected or uncertain: see `dead-letters list` and the senders' logs. The exact count is ClickHouse's.",
    "type",
)
WAITING = _gauge(
    "evenpost_waiting_sends",
    "Mails in the waiting rooms of the gate partitions owned here.",
    "Growing: the rule of their `waiting` deliveries says what they wait for; `capacity`, the pool is short of IPs.",
)
ODDITIES = _counter(
    "evenpost_gate_oddities_total",
    "Events that a gate met and that upstream or a restart explains: forwarded (misplaced or unkeyed), replayed (seen "
    "before), returns_ignored (not of the current deal), rows_lost (from the waiting room).",
    "rows_lost, any: a defect, report it. Many forwarded: an upstream that sets no key or another partitioner.",
    "oddity",
)
FORGOTTEN = _counter(
    "evenpost_persons_forgotten_total",
    "Persons that a gate's table holds no longer: all their mails are past their terms and their caps' windows.",
    "None while evenpost_table_bytes grows for weeks: each mail's term is its campaign's end and a week.",
)
SENDS_WAITING = _gauge(
    "evenpost_sends_waiting",
    "Dealt sends that wait in the slots owned here, by lane.",
    "transactional above 100 for minutes: its receivers or their connections are full; see attempts by class.",
    "lane",
)
SENDS_HELD = _gauge(
    "evenpost_sends_held",
    "Sends that wait in their slots, for ten seconds at most, since their provider's limits are met.",
    "None. At 1,000 a slot for long: more is dealt than leaves; look at evenpost_sent_back_total.",
)
HELD = _counter(
    "evenpost_held_total",
    "Sends that had to wait in their slot for their provider's limits.",
    "None: that is what limits are for.",
    "provider",
)
SENT_BACK = _counter(
    "evenpost_sent_back_total",
    "Sends that went back to their dealer since their provider would not take them from their slot within ten seconds.",
    "Above 2 % of what is sent, for long: the dealers do not know the slots' rates; look at `conditions` and leases.",
    "provider",
)
THROTTLED = _counter(
    "evenpost_throttled_total",
    "Replies that said: too much.",
    "Above 1 % of the provider's attempts for an hour: it takes less than smtp.shaping says, or judges us badly.",
    "provider",
)
PROVIDERS_TROUBLED = _gauge(
    "evenpost_slots_troubled",
    "Slots owned here that a provider throttles, or that are blocked there for a while.",
    "blocked on most slots: the provider refuses the pool; read the evidence (`evenpost explain egress`).",
    "provider",
    "health",
)
SMTP_CONNECTIONS = _gauge(
    "evenpost_smtp_connections",
    "Open SMTP connections of the slots owned here, those that are opening or ending as well.",
    "At slots * smtp.connections_per_slot for long: receivers are slow; raise it, or add IPs.",
)
ATTEMPTS = _counter(
    "evenpost_attempts_total",
    "Delivery attempts by what the receiver's answer means.",
    "policy, throttled or spam rising: an IP's reputation; drain the slot. egress_unavailable, any: see "
    "evenpost_slots_without_address.",
    "class",
)
INTENT_SECONDS = _histogram(
    "evenpost_intent_seconds",
    "Time from handing an intent over until the broker has it; the receiver waits for the message meanwhile.",
    "p99 above 0.25 s: each mail waits for the broker; look at its disk and at its request queue.",
    buckets=_INTENT_BUCKETS,
)
IN_DOUBT = _counter(
    "evenpost_sends_in_doubt_total",
    "Sends whose intent a lost sender left without an outcome, as read when the slot was taken.",
    "At most one for each connection of a sender that was killed; more: tell the makers.",
)
ATTEMPT_SECONDS = _histogram(
    "evenpost_attempt_seconds",
    "Time from taking a send to its outcome: checks, composing, waiting for a connection, and SMTP.",
    "p50 above 5 s: connections are short or receivers slow.",
    buckets=_ATTEMPT_BUCKETS,
)
SUPPRESSED = _counter(
    "evenpost_suppressions_total",
    "Entries written to the suppression list, by reason; lifts are not counted.",
    "hard_bounce jumping up: a bad list, or a receiver's mistake; see the deliveries of the last hour.",
    "reason",
)

# ── control and warehouse ────────────────────────────────────────────────────────────────────────────────────────────
ACTIVE = _gauge(
    "evenpost_control_active",
    "1 where this control worker is the one that compiles and leases, 0 where it stands by.",
    "0 on all for a minute: nothing is compiled, paced campaigns stand still; start a control worker.",
)
DUTY_FAILURES = _counter(
    "evenpost_duty_failures_total",
    "Turns of a duty of control (docs/sres.md) that failed; the next turn tries again.",
    "Any: a bug, or a broker that was away; the worker's log has the traceback.",
    "duty",
)
CONTENTS = _counter(
    "evenpost_contents_total",
    "Contents made of campaigns, by state.",
    "refused: the campaign's author is told by `evenpost campaign status`.",
    "state",
)
LEASES = _counter(
    "evenpost_leases_total",
    "Leases issued to gate partitions, one for each a second.",
    "Standing still: marketing waits within 4 s; see evenpost_control_active and evenpost_queue_read_failures_total.",
)
POOL_GRANT = _gauge(
    "evenpost_pool_grant_per_second",
    "Sends a second of marketing mail that the pool may be dealt, all gate partitions together.",
    "0 while mail waits: all its slots' queues are full (evenpost_pool_queue_seconds), or no slot is active.",
    "pool",
)
POOL_QUEUE = _gauge(
    "evenpost_pool_queue_seconds",
    "Seconds of marketing mail in the longest queue of the pool's slots, by what that slot drains.",
    "Above 12: a sender does less than a moment ago; for minutes: it stands still, see its log and "
    "evenpost_slots_held.",
    "pool",
)
SLOTS_HELD = _gauge(
    "evenpost_slots_held",
    "Slots that are dealt nothing, since their sender stands still or crawls.",
    "Above 0 for minutes: no sender has the slot, or its receivers take nothing; see evenpost_partitions_owned.",
)
QUEUE_READ_FAILURES = _counter(
    "evenpost_queue_read_failures_total",
    "Times that the slots' queues could not be read; after 5 s without, pools are granted nothing.",
    "More than a few: the group's coordinator or a leader of sends.marketing is away.",
)
INCIDENTS = _counter(
    "evenpost_incidents_total",
    "Firings of automation, surge detection and the tenants' fuse, by rule; `evenpost incidents` has their evidence.",
    "blocked-ip: see the provider's page on that IP. tenant-…: talk to the tenant. surge…: ask whether it is meant.",
    "rule",
)
AUTOMATION_LAG = _gauge(
    "evenpost_automation_lag_seconds",
    "How far the active control worker is behind the deliveries' topic.",
    "Above 60 s for minutes: rules fire late; the worker has too much for one core, or just took over and counts anew.",
)
LATE_DELIVERIES = _counter(
    "evenpost_deliveries_late_total",
    "Deliveries that came more than `grace` after their span's end: no volume counts them, ClickHouse does.",
    "Steady: a sender's clock is wrong, or its transactions take minutes.",
)
WARMING = _gauge(
    "evenpost_warming",
    "IPs and providers at which an IP warms up (each pair counts one), as the active CONTROL sees them.",
    "Not falling for a week: `evenpost egress warmup SLOT` says at which provider it stands still, and why.",
)
BLOCKS = _counter("evenpost_blocks_total", "Blocks of deliveries and incidents written to ClickHouse.", "None.")
ROWS = _counter("evenpost_rows_total", "Deliveries and incidents written to ClickHouse.", "None.")
BLOCK_FAILURES = _counter(
    "evenpost_block_failures_total",
    "Tries to write a block that failed; each is tried again.",
    "A steady rate: ClickHouse or Kafka refuses; reports fall behind, nothing is lost. See the warehouse's log.",
)
INSERT_SECONDS = _histogram(
    "evenpost_insert_seconds",
    "Time to plan, insert and commit one block.",
    "p99 above 5 s: ClickHouse is short of disk or merges too much.",
    buckets=_INSERT_BUCKETS,
)
