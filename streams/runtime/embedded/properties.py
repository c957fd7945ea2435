"""The embedded broker's server properties: one node, hundreds of small partitions, little memory and disk.

Each line that differs from Kafka's default says why. Sizes are bytes, times milliseconds, as Kafka names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["MAX_MESSAGE_BYTES", "NODE_ID", "Listener", "server_properties"]

NODE_ID = 1
# `campaigns` and `contents` carry 8 MB; 10 MiB leaves room for the batch around them.
MAX_MESSAGE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Listener:
    """One more door for clients, such as a SASL_SSL one; `properties` are Kafka's, without the listener's prefix."""

    port: int
    protocol: str
    properties: Mapping[str, object] = field(default_factory=dict)

    def settings(self, before: Mapping[str, object]) -> dict[str, object]:
        """What it adds to the server's properties."""
        address = f",SECURE://127.0.0.1:{self.port}"
        doors = ("listeners", "advertised.listeners")
        added: dict[str, object] = {name: f"{before[name]}{address}" for name in doors}
        protocols = "listener.security.protocol.map"
        added[protocols] = f"{before[protocols]},SECURE:{self.protocol}"
        return added | {f"listener.name.secure.{name}": value for name, value in self.properties.items()}


def server_properties(log_dir: Path, *, port: int, controller_port: int, listener: Listener | None = None) -> str:
    """The text of server.properties; all listeners are on loopback alone."""
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"{NODE_ID}@127.0.0.1:{controller_port}",
        "log.dirs": log_dir,
        # Topics are declared (schemas/topics.py); a typo must not make one.
        "auto.create.topics.enable": "false",
        # One node: what a cluster replicates three times is here once, in a few partitions.
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        # Read in whole when the broker starts; transactions commit offsets many times a second.  Segments of 1 MB are
        # compacted soon.  A broker that was killed reads them twice, and answers from what is half read meanwhile.
        "offsets.topic.segment.bytes": 1024 * 1024,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.segment.bytes": 1024 * 1024,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        # Members of a small group are all there at once; tests want short sessions.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # DESIGN.md choice 4: a dead owner's transaction of 5 s delays readers by at most 1 s more. A transaction longer
        # than a minute is a mistake.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        "transaction.max.timeout.ms": 60_000,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        # An index is allocated whole for each partition's open segment (two of 10 MB by default: 12 GB for 600
        # partitions). One entry each 4 KB: 64 MB of log fill 192 KB of the larger index.
        "log.segment.bytes": 64 * 1024 * 1024,
        "log.index.size.max.bytes": 256 * 1024,
        "log.retention.check.interval.ms": 60_000,
        # The cleaner's map: 24 bytes a key, so 16 MB clean 500,000 keys in one pass; the default takes 128 MB of heap.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "log.cleaner.threads": 1,
        # After an unclean end each partition is read from its recovery point; write that often, and read in parallel.
        "log.flush.offset.checkpoint.interval.ms": 10_000,
        "num.recovery.threads.per.data.dir": 2,
        # The machine is shared with all our roles.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        # A killed broker's session keeps its successor waiting (default 9 s); one much shorter than this runs out on a
        # machine with other work, and all partitions lose their leader for a moment.
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 6000,
    }
    if listener is not None:
        settings |= listener.settings(settings)
    return "".join(f"{name}={value}\n" for name, value in settings.items())
