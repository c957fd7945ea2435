"""The world as the compacted topics tell it: tenants, campaigns, contents, controls, egress, leases, suppressions.

A `World` is fed record by record (`apply`) by whoever reads the topics, and asked by gate, sender and control.
It knows no Kafka and no clock: the caller passes `now`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from schemas import ids, topics
from schemas.events import (
    Campaign,
    Condition,
    Content,
    Control,
    Domain,
    Egress,
    Lease,
    Suppression,
    Tenant,
)
from streams.views.suppressions import SuppressionsInMemory, SuppressionStore

CampaignStatus = Literal["running", "paused", "cancelled"]
# The most restrictive word wins, whoever said it (DESIGN.md, topics).
_STRICTNESS: Final[dict[str, int]] = {"running": 0, "paused": 1, "suspended": 1, "cancelled": 2}


class BadRecordError(ValueError):
    """A record of a compacted topic that does not decode; the last good value stays in force."""

    def __init__(self, topic: str, key: str, reason: str) -> None:
        super().__init__(f"{topic} {key!r}: {reason}")
        self.topic = topic
        self.key = key
        self.reason = reason


class World:
    """Folded compacted topics.  Written by one thread, read by others: each update is one dict assignment."""

    def __init__(self, *, suppressions: SuppressionStore | None = None) -> None:
        """`suppressions` keeps those entries; in memory, if none is given."""
        self.tenants: dict[str, Tenant] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.contents: dict[str, Content] = {}
        self.controls: dict[str, Control] = {}
        self.egress: dict[str, Egress] = {}
        self.conditions: dict[str, Condition] = {}
        self.leases: dict[str, Lease] = {}
        self.suppressions: SuppressionStore = SuppressionsInMemory() if suppressions is None else suppressions
        self.offsets: dict[str, int] = {}
        self._shapes: dict[str, tuple[Campaign, str]] = {}
        self._versions: dict[str, tuple[Campaign, Tenant | None, str]] = {}
        # Rebuilt when `_egress_edits` has moved on: a late reader can't put an old answer in place of a new one.
        self._egress_edits = 0
        self._pools: tuple[int, dict[str, tuple[tuple[int, float], ...]]] = (-1, {})
        self._tables: dict[str, tuple[dict[str, Any], msgspec.json.Decoder[Any]]] = {
            topic.name: (table, msgspec.json.Decoder(topic.events[0]))
            for topic, table in (
                (topics.TENANTS, self.tenants),
                (topics.CAMPAIGNS, self.campaigns),
                (topics.CONTENTS, self.contents),
                (topics.CONTROLS, self.controls),
                (topics.EGRESS, self.egress),
                (topics.CONDITIONS, self.conditions),
                (topics.LEASES, self.leases),
                (topics.SUPPRESSIONS, {}),  # kept by the store
            )
        }

    def apply(self, topic: str, key: str, value: bytes | None) -> None:
        """Fold one record in; `value` None is a tombstone.  Raises BadRecordError and keeps the last good value."""
        table, decoder = self._tables[topic]
        if value is None:
            self._remove(topic, table, key)
            return
        try:
            event = decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadRecordError(topic, key, str(error)) from error
        expected = _key_of(event)
        if expected is not None and expected != key:
            raise BadRecordError(topic, key, f"the key must be {expected!r}, made from the body")
        if isinstance(event, Suppression):
            self.suppressions.put(key, event, value)
        else:
            self._put(topic, table, key, event)

    def _put(self, topic: str, table: dict[str, Any], key: str, event: Any) -> None:
        if isinstance(event, Campaign):
            self._shapes[key] = event, ids.campaign_shape(event)
        table[key] = event
        if topic in {topics.EGRESS.name, topics.CONTROLS.name}:
            self._egress_edits += 1

    def _remove(self, topic: str, table: dict[str, Any], key: str) -> None:
        if topic == topics.SUPPRESSIONS.name:
            self.suppressions.remove(key)
            return
        table.pop(key, None)
        if topic == topics.CAMPAIGNS.name:
            self._shapes.pop(key, None)
            self._versions.pop(key, None)
        if topic in {topics.EGRESS.name, topics.CONTROLS.name}:
            self._egress_edits += 1

    def sending_domain(self, campaign: Campaign) -> Domain | None:
        """The tenant's domain that the campaign's From belongs to, or None."""
        tenant = self.tenants.get(campaign.tenant)
        domain = campaign.from_.address.rpartition("@")[2].lower()
        return next((one for one in tenant.domains if one.domain.lower() == domain), None) if tenant else None

    def content_version(self, campaign: Campaign) -> str:
        """The version of the campaign's content as it stands now; remembered for the campaign and tenant it is of."""
        key = ids.campaign_key(campaign.tenant, campaign.campaign_id)
        tenant = self.tenants.get(campaign.tenant)
        known = self._versions.get(key)
        if known is not None and known[0] is campaign and known[1] is tenant:
            return known[2]
        shape = self._shapes.get(key)
        # An edit may have come since the caller took this campaign: its version is that of its own words.
        own = shape[1] if shape is not None and shape[0] is campaign else ids.campaign_shape(campaign)
        version = ids.content_version(own, self.sending_domain(campaign))
        self._versions[key] = (campaign, tenant, version)
        return version

    def content(self, campaign: Campaign) -> Content | None:
        """What CONTROL made of the campaign as it stands now; None while it hasn't."""
        version = self.content_version(campaign)
        return self.contents.get(ids.content_key(campaign.tenant, campaign.campaign_id, version))

    def campaign_state(self, campaign: Campaign, now: datetime) -> CampaignStatus:
        """The most restrictive of upstream's state and the controls on the campaign and its tenant."""
        words: list[CampaignStatus] = [campaign.state]
        campaign_key = ids.campaign_key(campaign.tenant, campaign.campaign_id)
        for name in (f"campaign/{campaign_key}", f"tenant/{campaign.tenant}"):
            control = self.controls.get(name)
            if control is not None and (control.until is None or now < control.until):
                words.append("cancelled" if control.state == "cancelled" else "paused")
        return max(words, key=_STRICTNESS.__getitem__)

    def slots(self, pool: str) -> tuple[tuple[int, float], ...]:
        """(slot, weight) of each IP of the pool that takes new mail, by slot number."""
        edits = self._egress_edits
        built, known = self._pools
        if built != edits:
            pools: dict[str, list[tuple[int, float]]] = {}
            for egress in list(self.egress.values()):  # copied in one step: the writing thread may add one meanwhile
                control = self.controls.get(f"slot/{egress.slot}")
                if egress.state == "active" and egress.weight > 0 and control is None:
                    pools.setdefault(egress.pool, []).append((egress.slot, egress.weight))
            known = {name: tuple(sorted(found)) for name, found in pools.items()}
            self._pools = edits, known
        return known.get(pool, ())

    def binds(self) -> dict[int, str | None]:
        """Each slot in use, with the local address that it must be sent from; None = any host will do."""
        return {
            one.slot: one.via.address if one.via.kind == "bind" else None
            for one in list(self.egress.values())  # copied in one step, as above
            if one.state != "spare"
        }

    def suppressed(self, address_id: str, *, tenant: str, channel: str, now: datetime) -> Iterator[Suppression]:
        """Each entry that keeps this address from getting the tenant's mail now."""
        for entry in self.suppressions.entries(address_id):
            if entry.channel != channel or (entry.until is not None and entry.until <= now):
                continue
            if entry.scope in {"global", f"tenant:{tenant}"}:
                yield entry


def _key_of(event: Any) -> str | None:
    """The key that an event's body asks for, where the body holds it whole."""
    match event:
        case Tenant():
            return event.tenant
        case Campaign():
            return ids.campaign_key(event.tenant, event.campaign_id)
        case Egress():
            return str(event.slot)
        case Control():
            return ids.control_key(event)
        case Suppression():
            return ids.suppression_key(event.scope, event.channel, event.reason, event.address_id)
        case _:
            return None
