"""What a run stands on: settings of its own, and everything that must be known before the first recipient."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from schemas import ids
from schemas.topics import CAMPAIGNS, CONTENTS, EGRESS, SUPPRESSION_REQUESTS, SUPPRESSIONS, TENANTS
from streams.operate.bench import mailing
from streams.operate.bench.mailing import Size
from streams.operate.bench.pipeline import scene
from streams.operate.chaos.watching import until
from streams.runtime.cluster import Publisher, read_all, read_world
from streams.runtime.settings import (
    ClickHouseSettings,
    ControlSettings,
    DnsSettings,
    KafkaSettings,
    MailSettings,
    SecretSettings,
    Settings,
    SmtpSettings,
    WarmupSettings,
    WorkerSettings,
)
from streams.runtime.state.replication import FRESH_S

DECLARED_S: Final = 60.0


def settings(folder: Path, *, sink_port: int) -> Settings:
    """The run's own: as the product comes, but for where its mail goes; no setting of yours counts."""
    return Settings(
        data_dir=folder.absolute(),
        dkim_dir=None,
        providers={},
        kafka=KafkaSettings(slots=scene.SLOTS),
        clickhouse=ClickHouseSettings(sql_port=0),
        smtp=SmtpSettings(route=f"smarthost:127.0.0.1:{sink_port}", starttls="never"),
        dns=DnsSettings(),
        mail=MailSettings(),
        control=ControlSettings(),
        warmup=WarmupSettings(),
        secrets=SecretSettings(),
        worker=WorkerSettings(),
    )


def declare(of: Settings, *, events: int, size: Size) -> None:
    """Write it, and wait until CONTROL and FEEDBACK have taken it in and every worker knows.  Raises FleetError."""
    requests = list(scene.suppressions(events, datetime.now(UTC)))
    campaign = scene.campaign(size)
    key = ids.campaign_key(campaign.tenant, campaign.campaign_id)
    with Publisher(of, client_id="evenpost-bench") as publisher:
        for slot in scene.egress():
            publisher.send(EGRESS, str(slot.slot), slot)
        publisher.send(TENANTS, mailing.TENANT, scene.tenant())
        for request in requests:
            publisher.send(SUPPRESSION_REQUESTS, request.scope, request)
        publisher.send(CAMPAIGNS, key, campaign)
    wait_taken_in(of, campaigns=1, requests=len(requests))


def wait_taken_in(of: Settings, *, campaigns: int, requests: int) -> None:
    """Until so many campaigns are compiled and suppressions stand, and every worker knows.  Raises FleetError."""
    fact = _taken_in(of, campaigns, requests)
    until(fact, DECLARED_S, "CONTROL or FEEDBACK did not take in what was declared; see logs/")
    time.sleep(FRESH_S)  # no gate decides by a view that has not confirmed its end for so long


def _taken_in(of: Settings, campaigns: int, requests: int) -> Callable[[], bool]:
    def fact() -> bool:
        world = read_world(of, TENANTS, CAMPAIGNS, CONTENTS)
        contents = [world.content(campaign) for campaign in world.campaigns.values()]
        compiled = len(contents) >= campaigns and all(one is not None and one.state == "compiled" for one in contents)
        return compiled and sum(one.value is not None for one in read_all(of, SUPPRESSIONS)) >= requests

    return fact
