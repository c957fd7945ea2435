"""The world as the compacted topics tell it: tenants, campaigns, contents, controls, egress, leases and more.

A `World` is fed record by record (`apply`) by whoever reads the topics, and asked by gate, sender and control; a topic
that its reader does not read is empty.  It knows no Kafka and no clock: the caller passes `now`.
"""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from schemas import ids, topics
from schemas.events import (
    Campaign,
    Condition,
    Content,
    Control,
    Demand,
    Domain,
    DomainProvider,
    Egress,
    Lease,
    Suppression,
    Tenant,
    WarmupDay,
)
from streams.spread import weights
from streams.spread.dealing import Weights
from streams.spread.weights import Target, Weighed
from streams.views.suppressions import SuppressionsInMemory, SuppressionStore
from streams.views.weighing import Share, Weighing

CampaignStatus = Literal["running", "paused", "cancelled"]
# A producer gives a record up after two minutes.  A lease older than the one before it by more is of a clock that
# was set back: leases from its future must not count until that future is here.
_LATE: Final = timedelta(minutes=2)
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

    def __init__(self, *, suppressions: SuppressionStore | None = None, slots: int | None = None) -> None:
        """`suppressions` keeps those entries; in memory, if none is given.  `slots`: kafka.slots, None = any number."""
        self._slots = slots
        self.tenants: dict[str, Tenant] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.contents: dict[str, Content] = {}
        self.controls: dict[str, Control] = {}
        self.egress: dict[str, Egress] = {}
        self.conditions: dict[str, Condition] = {}
        self.leases: dict[str, Lease] = {}
        self.demands: dict[str, Demand] = {}
        self.warmups: dict[str, WarmupDay] = {}
        # Of `domains`, domain to provider: as many as upstream's lists have domains of their own at a named provider,
        # some 170 bytes each.
        self.providers: dict[str, str] = {}
        self.suppressions: SuppressionStore = SuppressionsInMemory() if suppressions is None else suppressions
        self.offsets: dict[str, int] = {}
        self.changes = 0  # records folded in: what was worked out at one count holds until the next
        self._shapes: dict[str, tuple[Campaign, str]] = {}
        self._versions: dict[str, tuple[Campaign, Tenant | None, str]] = {}
        self._controls_on: dict[str, tuple[Control, ...]] = {}
        self._weighing = Weighing(
            egress=self.egress,
            controls_on=self.controls_on,
            conditions=self.conditions,
            warmups=self.warmups,
            leases=self.leases,
        )
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
                (topics.DEMANDS, self.demands),
                (topics.WARMUPS, self.warmups),
                (topics.DOMAINS, {}),  # kept as `providers`
                (topics.SUPPRESSIONS, {}),  # kept by the store
            )
        }

    def apply(self, topic: str, key: str, value: bytes | None) -> None:
        """Fold one record in; `value` None is a tombstone.  Raises BadRecordError and keeps the last good value."""
        table, decoder = self._tables[topic]
        if value is None:
            self._remove(topic, table, key)
            self.changes += 1
            return
        try:
            event = decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadRecordError(topic, key, str(error)) from error
        expected = _key_of(event)
        if expected is not None and expected != key:
            raise BadRecordError(topic, key, f"the key must be {expected!r}, made from the body")
        if isinstance(event, Egress) and self._slots is not None and event.slot >= self._slots:
            raise BadRecordError(topic, key, f"slot {event.slot}: expected less than kafka.slots = {self._slots}")
        if isinstance(event, Suppression):
            self.suppressions.put(key, event, value)
        else:
            self._put(topic, table, key, event)
        self.changes += 1

    def _put(self, topic: str, table: dict[str, Any], key: str, event: Any) -> None:
        if isinstance(event, DomainProvider):
            self.providers[key] = sys.intern(event.provider)
            return
        if isinstance(event, Campaign):
            self._shapes[key] = event, ids.campaign_shape(event)
        before = table.get(key)
        if isinstance(before, Lease) and timedelta() < before.issued_at - event.issued_at <= _LATE:
            return  # of a former owner of CONTROL, come late
        table[key] = event
        if isinstance(event, Control):
            self._index(key, before, event)
        self._touch(topic, before, event)

    def _remove(self, topic: str, table: dict[str, Any], key: str) -> None:
        if topic == topics.SUPPRESSIONS.name:
            self.suppressions.remove(key)
            return
        before = table.pop(key, None)
        if topic == topics.CAMPAIGNS.name:
            self._shapes.pop(key, None)
            self._versions.pop(key, None)
        elif topic == topics.DOMAINS.name:
            self.providers.pop(key, None)
        elif isinstance(before, Control):
            self._index(key, before, None)
        self._touch(topic, before, None)

    def _index(self, key: str, before: Control | None, after: Control | None) -> None:
        """Put one control in another's place among those on its target."""
        one = after or before
        if one is None:
            return
        place = f"{one.target}/{one.key}"
        others = (other for other in self._controls_on.get(place, ()) if ids.control_key(other) != key)
        found = (*others, after) if after is not None else tuple(others)
        if found:
            self._controls_on[place] = found
        else:
            self._controls_on.pop(place, None)

    def _touch(self, topic: str, before: Any, after: Any) -> None:
        """Have weighed anew what this edit may change."""
        if topic == topics.EGRESS.name:
            self._weighing.touch()
        elif topic in {topics.CONTROLS.name, topics.CONDITIONS.name, topics.WARMUPS.name}:
            for provider in {one.provider for one in (before, after) if one is not None}:
                self._weighing.touch(provider)
        elif topic == topics.LEASES.name:
            self._weighing.leased(before, after)

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

    def campaign_state(self, campaign: Campaign, now: datetime, provider: str = "") -> CampaignStatus:
        """The most restrictive of upstream's state and the controls on the campaign and its tenant.

        `provider`: also those that stand between the tenant and this provider alone.
        """
        words: list[CampaignStatus] = [campaign.state]
        campaign_key = ids.campaign_key(campaign.tenant, campaign.campaign_id)
        for place in (f"campaign/{campaign_key}", f"tenant/{campaign.tenant}"):
            found = self._controls_on.get(place)
            if found:
                stops = (one for one in weights.standing(found, provider, now) if one.slow_to is None)
                words += ["cancelled" if one.state == "cancelled" else "paused" for one in stops]
        return max(words, key=_STRICTNESS.__getitem__)

    # ── controls, and the slots' weights ─────────────────────────────────────────────────────────────────────────────

    def controls_on(self, target: Target, key: str) -> tuple[Control, ...]:
        """All words on a campaign, a slot or a tenant, the operators' and automation's, whether they stand or not."""
        return self._controls_on.get(f"{target}/{key}", ())

    def slow_to(self, target: Target, key: str, provider: str, now: datetime) -> float:
        """The part of its rate that controls leave it at this provider; 1.0 = not slowed."""
        found = self.controls_on(target, key)
        return weights.slowed_to(found, provider, now) if found else 1.0

    def weights(self, pool: str, provider: str, now: datetime) -> Weights:
        """(slot, weight) of each IP that takes the pool's mail to a provider, by slot; one object while unchanged."""
        return self._weighing.of(pool, provider, now).weights

    def share(self, pool: str, provider: str, now: datetime) -> Share:
        """As `weights`, with what warming IPs may take today; one object until either changes."""
        return self._weighing.of(pool, provider, now)

    def slots(self, pool: str, now: datetime) -> Weights:
        """As `weights`, as far as it is the same for every provider."""
        return self._weighing.of(pool, "", now).weights

    def weighed(self, egress: Egress, provider: str, now: datetime) -> Weighed:
        """One slot's weight at a provider, with what it is made of."""
        return self._weighing.slot(egress, provider, now)

    def slot_closed(self, slot: int, provider: str, now: datetime) -> str:
        """Why not even what is queued at the slot goes to this provider; empty = it may go."""
        egress = self.egress.get(str(slot))
        if egress is None:
            return "no egress entry"
        return weights.closed(egress, self.controls_on("slot", str(slot)), provider, now)

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
        case Condition() | WarmupDay():
            return ids.slot_provider_key(event.slot, event.provider)
        case DomainProvider():
            return event.domain
        case Suppression():
            return ids.suppression_key(event.scope, event.channel, event.reason, event.address_id)
        case _:
            return None
