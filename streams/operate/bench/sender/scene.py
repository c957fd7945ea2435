"""What one run stands on: topics of its own, all that the sender's views hold, and the sends, dealt and in Kafka.

Each run has a prefix and a data directory of its own, so that none finds what another left behind.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from schemas import ids
from schemas.topics import CAMPAIGNS, CONTENTS, EGRESS, SENDS_MARKETING, TENANTS
from streams.operate.bench import mailing
from streams.runtime.cluster import Publisher
from streams.runtime.settings import (
    DnsSettings,
    MailSettings,
    SecretSettings,
    Settings,
    SmtpSettings,
    WorkerSettings,
)
from streams.runtime.topic_admin import apply_topics


def settings(alone: Settings, run: str, *, slots: int, sink_port: int) -> Settings:
    """The run's settings; `alone` are the bench's own deployment's, whose folder holds the DKIM key."""
    kafka = alone.kafka.model_copy(
        update={"prefix": f"{alone.kafka.prefix}{run}.", "slots": slots, "gate_partitions": 1}
    )
    return alone.model_copy(
        update={
            "data_dir": folder(alone, run),
            "dkim_dir": alone.data_dir,
            "kafka": kafka,
            "smtp": SmtpSettings(route=f"smarthost:127.0.0.1:{sink_port}", starttls="never"),
            "dns": DnsSettings(),
            "mail": MailSettings(),
            "secrets": SecretSettings(),
            # Nobody waits for a member that does not come back.
            "worker": WorkerSettings(static_membership=False),
        }
    )


def folder(alone: Settings, run: str) -> Path:
    """Where the run's processes leave their words and their state."""
    return alone.data_dir / run


def fill(of: Settings, *, messages: int) -> None:
    """Make the topics and write everything."""
    apply_topics(of)
    at, slots = datetime.now(UTC), of.kafka.slots
    campaign, content = mailing.campaign(), mailing.content(at)
    with Publisher(of, client_id="evenpost-bench") as publisher:
        publisher.send(TENANTS, mailing.TENANT, mailing.tenant())
        publisher.send(CAMPAIGNS, ids.campaign_key(campaign.tenant, campaign.campaign_id), campaign)
        publisher.send(CONTENTS, ids.content_key(content.tenant, content.campaign_id, content.version), content)
        for one in mailing.egress(slots):
            publisher.send(EGRESS, str(one.slot), one)
        for number in range(messages):
            send = mailing.send(number, slots=slots, version=content.version, at=at)
            publisher.send(SENDS_MARKETING, send.send_id, send)


def asked(messages: int) -> Iterator[str]:
    """The name of every send that `fill` wrote."""
    return map(mailing.send_id, range(messages))
