"""What a run stands on: settings of its own, and everything that a gate must know before it deals.

CONTROL does not run: its word is written here, with credit that nothing has to wait for.  With no sender that takes
what is dealt, it would rightly grant nothing.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from schemas import ids
from schemas.events import Lease
from schemas.topics import CAMPAIGNS, CONTENTS, EGRESS, LEASES, TENANTS
from streams.operate.bench.spread import scene
from streams.operate.up import WORKER
from streams.runtime.cluster import Publisher
from streams.runtime.settings import KafkaSettings, MailSettings, SecretSettings, Settings, WorkerSettings
from streams.spread.providers import PROVIDERS

# Two partitions a worker: sequences are long enough for windows of 10,000, and each worker's end moves some.
GATE_PARTITIONS: Final = 6
# Sends a second, and how long it is granted: no run lasts so long.
CREDIT_PER_S: Final = 1e6
CREDIT_FOR: Final = timedelta(hours=12)


def settings(folder: Path, *, session_timeout_s: float) -> Settings:
    """The run's own: no setting of yours counts, so that it never kills what is not its own."""
    return Settings(
        data_dir=folder.absolute(),
        providers={},
        kafka=KafkaSettings(gate_partitions=GATE_PARTITIONS, slots=scene.SLOTS, session_timeout_s=session_timeout_s),
        mail=MailSettings(),
        secrets=SecretSettings(),
        worker=WorkerSettings(),
    )


def program(member: str) -> tuple[str, ...]:
    """The product's own worker."""
    return (*WORKER, member.rpartition("-")[0], "--member", member)


def declare(of: Settings) -> None:
    """Write it all."""
    now = datetime.now(UTC)
    with Publisher(of, client_id="evenpost-bench") as publisher:
        for slot in scene.egress():
            publisher.send(EGRESS, str(slot.slot), slot)
        for tenant in scene.tenants():
            publisher.send(TENANTS, tenant.tenant, tenant)
        for campaign in scene.campaigns():
            publisher.send(CAMPAIGNS, ids.campaign_key(campaign.tenant, campaign.campaign_id), campaign)
        for content in scene.contents(now):
            publisher.send(CONTENTS, ids.content_key(content.tenant, content.campaign_id, content.version), content)
        for partition in range(of.kafka.gate_partitions):
            publisher.send(LEASES, str(partition), _lease(partition, now))


def _lease(partition: int, now: datetime) -> Lease:
    return Lease(
        gate_partition=partition,
        issued_at=now,
        expires_at=now + CREDIT_FOR,
        pace_per_s={},
        capacity_per_s={f"{scene.POOL}/{provider}": CREDIT_PER_S for provider in sorted(PROVIDERS)},
        per_pool_s={scene.POOL: CREDIT_PER_S},
    )
