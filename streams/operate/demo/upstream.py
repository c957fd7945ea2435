"""What upstream systems would write: tenants, IPs, suppressions, campaigns, and then the recipients.

Marketing comes all at once, as campaigns do; transactional events come one by one while it is being sent, as orders do:
that is where their latency shows whether they wait behind a campaign.
"""

from datetime import datetime
from typing import Final

from schemas import ids
from schemas.topics import (
    CAMPAIGNS,
    CONTENTS,
    EGRESS,
    RECIPIENTS_MARKETING,
    RECIPIENTS_TRANSACTIONAL,
    SUPPRESSION_REQUESTS,
    SUPPRESSIONS,
    TENANTS,
)
from streams.operate.demo import scene
from streams.operate.demo.plan import Plan
from streams.runtime.cluster import Publisher, read_all, read_world
from streams.runtime.settings import Settings

# Transactional events a second: shops on a busy day, and well below what a busy machine sends.
ORDERS_PER_S: Final = 60.0


def declare(settings: Settings, plan: Plan) -> None:
    """Write all that must be known before the first recipient."""
    with Publisher(settings) as publisher:
        for slot in scene.egress():
            publisher.send(EGRESS, str(slot.slot), slot)
        for tenant in scene.tenants():
            publisher.send(TENANTS, tenant.tenant, tenant)
        for request in plan.suppressions:
            publisher.send(SUPPRESSION_REQUESTS, request.scope, request)
        for campaign in scene.campaigns():
            publisher.send(CAMPAIGNS, ids.campaign_key(campaign.tenant, campaign.campaign_id), campaign)


def missing(settings: Settings, plan: Plan) -> list[str]:
    """What CONTROL and FEEDBACK have not made of it yet, in words; empty when the recipients may come."""
    world = read_world(settings, TENANTS, CAMPAIGNS, CONTENTS)
    waits: list[str] = []
    for key, campaign in world.campaigns.items():
        content = world.content(campaign)
        if content is None or content.state != "compiled":
            waits.append(f"{key} {'is not compiled' if content is None else f'is refused: {content.reason}'}")
    entries = sum(record.value is not None for record in read_all(settings, SUPPRESSIONS))
    if entries < len(plan.suppressions):
        waits.append(f"{len(plan.suppressions) - entries} of {len(plan.suppressions)} suppressions")
    return waits


class Orders:
    """The recipients on their way to Kafka: `step` sends what is due."""

    def __init__(self, publisher: Publisher, plan: Plan, started: float) -> None:
        self._publisher = publisher
        self._plan = plan
        self._started = started
        self._sent = 0
        for event in plan.marketing:
            publisher.send(RECIPIENTS_MARKETING, event.key, event.body)

    @property
    def asked(self) -> int:
        """How many events were sent by now."""
        return len(self._plan.marketing) + self._sent

    @property
    def done(self) -> bool:
        """Whether all were sent."""
        return self._sent == len(self._plan.transactional)

    def step(self, now: float) -> None:
        """Send the transactional events that are due; `now` and `started` in seconds of one clock."""
        due = min(len(self._plan.transactional), int((now - self._started) * ORDERS_PER_S))
        for event in self._plan.transactional[self._sent : due]:
            self._publisher.send(RECIPIENTS_TRANSACTIONAL, event.key, event.body)
        self._sent = max(self._sent, due)


def end_short(publisher: Publisher, now: datetime) -> None:
    """The short campaign is over: upstream says its end, and what still waits expires when it is due."""
    for campaign in scene.campaigns(short_until=now):
        if campaign.expire_at is not None:
            publisher.send(CAMPAIGNS, ids.campaign_key(campaign.tenant, campaign.campaign_id), campaign)
    publisher.flush()
