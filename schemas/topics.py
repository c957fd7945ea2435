"""Every topic, declared once: key, partitions, retention, owner, and the structs it carries.

`evenpost topics apply` creates them; the generator draws AsyncAPI from them.  Names get the deployment's prefix.
"""

from dataclasses import dataclass
from typing import Any, Literal

from schemas.events import (
    Campaign,
    Checkpoint,
    Condition,
    Content,
    Control,
    Delivery,
    Demand,
    DomainProvider,
    Egress,
    Incident,
    Intent,
    Lease,
    Outcome,
    Recipient,
    Return,
    Send,
    Suppression,
    SuppressionRequest,
    Tenant,
    Volume,
    WarmupDay,
)

DAY_MS = 86_400_000

# A campaign's HTML is refused above 2 MB by the compiler; JSON escaping can double it, and 8 MB leaves room.
LARGE_MESSAGE_BYTES = 8 * 1024 * 1024
# A recipient's variables ride along with a send; 1 MB is Kafka's own default.
MESSAGE_BYTES = 1024 * 1024

# Of a record that is larger once unpacked, a dead letter holds the beginning: 64 KB leave room for key and headers.
DEAD_LETTER_BYTES = LARGE_MESSAGE_BYTES - 64 * 1024
DEAD_LETTER_KEY_BYTES = 1024

Width = Literal["one", "gate", "slots", "eight"]


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic.

    `width` names what its number of partitions follows: `one`, the gate's partitions P, the slots N, or `eight`.
    `retention_ms` is None where compaction keeps the last value of each key for ever.
    `committed` tells whether readers must read committed records only.
    """

    name: str
    key: str
    width: Width
    retention_ms: int | None
    owner: str
    events: tuple[type, ...]
    summary: str
    committed: bool = False
    max_message_bytes: int = MESSAGE_BYTES
    example: str | None = None

    @property
    def compacted(self) -> bool:
        """Whether Kafka keeps the last value of each key instead of a span of time."""
        return self.retention_ms is None

    def partitions(self, *, gate: int, slots: int) -> int:
        """Number of partitions in a deployment with `gate` gate partitions and `slots` slots."""
        return {"one": 1, "gate": gate, "slots": slots, "eight": 8}[self.width]

    def config(self) -> dict[str, str]:
        """Kafka's topic configuration for it."""
        config: dict[str, str] = {"max.message.bytes": str(self.max_message_bytes)}
        if self.compacted:
            return config | {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.5"}
        return config | {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}


def _compacted(name: str, key: str, event: type, owner: str, summary: str, **more: Any) -> Topic:
    width: Width = more.pop("width", "one")
    return Topic(
        name=name, key=key, width=width, retention_ms=None, owner=owner, events=(event,), summary=summary, **more
    )


TENANTS = _compacted("tenants", "tenant", Tenant, "upstream", "The clients of the pool.")
CAMPAIGNS = _compacted(
    "campaigns",
    "tenant:campaign",
    Campaign,
    "upstream",
    "What to send, in whose name.",
    max_message_bytes=LARGE_MESSAGE_BYTES,
)
EGRESS = _compacted("egress", "slot", Egress, "upstream", "The sending IPs.")
CONTENTS = _compacted(
    "contents",
    "tenant:campaign@hash",
    Content,
    "control",
    "Compiled, immutable content; sends name the version they were dealt with.",
    max_message_bytes=LARGE_MESSAGE_BYTES,
)
CONTROLS = _compacted(
    "controls",
    "target/key, then /provider, @rule",
    Control,
    "operators, control",
    "Pause, cancel, suspend; the most restrictive wins.",
)
CONDITIONS = _compacted("conditions", "slot/provider", Condition, "sender", "What senders learn of their slots.")
LEASES = _compacted("leases", "gate partition", Lease, "control", "What each dealer may spend; they expire.")
DEMANDS = _compacted("demands", "gate partition", Demand, "gate", "What each dealer would deal if it had the credit.")
WARMUPS = _compacted("warmups", "slot/provider", WarmupDay, "control", "What warming IPs may send today.")
VOLUMES = _compacted(
    "volumes", "scope/key/begin", Volume, "control", "What went in each span, kept for as long as it is compared with."
)
DOMAINS = _compacted("domains", "domain", DomainProvider, "sender", "Providers of domains, by their MX hosts.")
INCIDENTS = Topic(
    name="incidents",
    key="scope/key",
    width="one",
    retention_ms=30 * DAY_MS,
    owner="control",
    events=(Incident,),
    summary="Each firing of automation and surge detection, with its evidence.",
)
SUPPRESSIONS = _compacted(
    "suppressions",
    "scope/channel/reason/address id",
    Suppression,
    "feedback, sender",
    "Who gets no mail; a lift is a tombstone.",
    width="eight",
)
SUPPRESSION_REQUESTS = Topic(
    name="suppression-requests",
    key="scope",
    width="eight",
    retention_ms=7 * DAY_MS,
    owner="upstream",
    events=(SuppressionRequest,),
    summary="Upstream's word on who gets no mail: add or lift, raw address.",
)
RECIPIENTS_TRANSACTIONAL = Topic(
    name="recipients.transactional",
    key="tenant:recipient",
    width="gate",
    retention_ms=7 * DAY_MS,
    owner="upstream",
    events=(Recipient,),
    summary="One event a person for transactional campaigns; dedup_key required.",
)
RECIPIENTS_MARKETING = Topic(
    name="recipients.marketing",
    key="tenant:recipient",
    width="gate",
    retention_ms=7 * DAY_MS,
    owner="upstream",
    events=(Recipient,),
    summary="One event a person for marketing campaigns.",
)
RETURNS = Topic(
    name="returns",
    key="tenant:recipient",
    width="gate",
    retention_ms=7 * DAY_MS,
    owner="sender",
    events=(Return,),
    summary="Sends that come back to the dealer, and places under a cap that are free again.",
    committed=True,
)
SENDS_TRANSACTIONAL = Topic(
    name="sends.transactional",
    key="send id",
    width="slots",
    retention_ms=7 * DAY_MS,
    owner="gate",
    events=(Send,),
    summary="Dealt sends, partition = slot; ahead of marketing.",
    committed=True,
)
SENDS_MARKETING = Topic(
    name="sends.marketing",
    key="send id",
    width="slots",
    retention_ms=7 * DAY_MS,
    owner="gate",
    events=(Send,),
    summary="Dealt sends, partition = slot.",
    committed=True,
)
JOURNAL = Topic(
    name="journal",
    key="send id:deal, or `checkpoint`",
    width="slots",
    retention_ms=9 * DAY_MS,  # must outlive the sends topics, or a redelivered send is sent again
    owner="sender",
    events=(Intent, Outcome, Checkpoint),
    summary="What each slot's sender is about to do and did, read back (uncommitted) by the slot's next owner.",
)
DELIVERIES = Topic(
    name="deliveries",
    key="send id",
    width="slots",
    retention_ms=30 * DAY_MS,
    owner="gate, sender, feedback",
    events=(Delivery,),
    summary="What became of each recipient event.",
    committed=True,
)
GATE_STATE = Topic(
    name="gate-state",
    key="table key",
    width="gate",
    retention_ms=None,
    owner="gate",
    events=(),
    summary="Changelog of the gate's tables: persons, waiting room, dealing counters.",
    committed=True,
)
FEEDBACK = Topic(
    name="feedback",
    key="-",
    width="eight",
    retention_ms=7 * DAY_MS,
    owner="inbound",
    events=(),
    summary="Raw inbound bounces, complaints and unsubscribes.",
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    key="-",
    width="eight",
    retention_ms=30 * DAY_MS,
    owner="every role",
    events=(),
    summary="Original bytes, cut at 8 MB; reason and coordinates as headers.",
    committed=True,
    max_message_bytes=LARGE_MESSAGE_BYTES,
)

TOPICS: tuple[Topic, ...] = (
    TENANTS,
    CAMPAIGNS,
    EGRESS,
    CONTENTS,
    CONTROLS,
    CONDITIONS,
    LEASES,
    DEMANDS,
    WARMUPS,
    VOLUMES,
    DOMAINS,
    INCIDENTS,
    SUPPRESSION_REQUESTS,
    SUPPRESSIONS,
    RECIPIENTS_TRANSACTIONAL,
    RECIPIENTS_MARKETING,
    RETURNS,
    SENDS_TRANSACTIONAL,
    SENDS_MARKETING,
    JOURNAL,
    DELIVERIES,
    GATE_STATE,
    FEEDBACK,
    DEAD_LETTERS,
)
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
