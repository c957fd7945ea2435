"""Bring one mail to an end, to a slot, or to the waiting room: the verdict, then slots, credit and the records.

Reads the tables and writes only the dealers' counters; what becomes of the mail's entry and row is the caller's to
write, once every record is built.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from schemas import ids, topics
from schemas.events import Campaign, Content, Send
from schemas.events.sends import Views
from streams.gate.caps import largest_cap, longest_window_ms
from streams.gate.credit import Credit, Place
from streams.gate.outcomes import Outcomes, send_emission
from streams.gate.person import Entry, Person, Stage, dump, load, table_key
from streams.gate.slots import Slots
from streams.gate.state import State, millis
from streams.gate.terms import DeskSettings
from streams.gate.verdict import Case, Goes, Refused, WaitReason, decide, expiry, kept_until
from streams.runtime.partition.emission import Emission
from streams.spread.dealing import Weights
from streams.views.world import World


@dataclass(frozen=True, kw_only=True)
class Ended:
    """It goes no further: its final outcome."""

    emission: Emission


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """It can't go yet; `until` says when, where that is known beforehand."""

    reason: WaitReason
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Dealt:
    """It goes: the record for its sender, and its entry from now on."""

    emission: Emission
    entry: Entry


class Settling:
    """The decisions of one gate partition, mail by mail."""

    def __init__(
        self,
        partition: int,
        *,
        partitions: int,
        slots: int,
        state: State,
        world: World,
        settings: DeskSettings,
        outcomes: Outcomes,
    ) -> None:
        self._partition = partition
        self._state = state
        self._world = world
        self._settings = settings
        self._outcomes = outcomes
        self._slots = Slots(state, partition, partitions=partitions, width=slots)
        self.credit = Credit(partition, world)

    # ── persons ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def person(self, tenant: str, recipient_id: str, now: datetime) -> Person:
        """The person's entries, without those that nothing needs any more."""
        data = self._state.get(table_key(ids.person_key(tenant, recipient_id)))
        caps_of = self._world.tenants.get(tenant)
        return load(data).pruned(millis(now), window_ms=longest_window_ms(caps_of), largest_cap=largest_cap(caps_of))

    def write(self, send: Send, person: Person) -> None:
        """Store the person that the send goes to."""
        key = table_key(ids.person_key(send.tenant, send.recipient_id))
        if person.entries:
            self._state.put(key, dump(person))
        else:
            self._state.delete(key)

    def first_entry(self, send: Send) -> Entry:
        """The entry of a mail that begins to wait."""
        campaign = self._world.campaigns.get(ids.campaign_key(send.tenant, send.campaign_id))
        content = self._world.content(campaign) if campaign else None
        end = expiry(send, campaign, self._settings)
        return self._entry(send, campaign, content, Stage.WAITING, end=end)

    def _entry(
        self, send: Send, campaign: Campaign | None, content: Content | None, stage: Stage, *, end: datetime
    ) -> Entry:
        keep_ms = millis(kept_until(end, campaign, content, self._settings))
        dealt_ms = 0
        if stage is Stage.DEALT:
            dealt_ms = millis(send.queued_at)
            keep_ms = max(keep_ms, dealt_ms + longest_window_ms(self._world.tenants.get(send.tenant)))
        return Entry(
            send_id=send.send_id,
            campaign_id=send.campaign_id,
            cap_class=send.cap_class,
            counts=stage is Stage.DEALT and send.cap_class is not None,
            stage=stage,
            deal=send.deal,
            dealt_ms=dealt_ms,
            keep_ms=keep_ms,
            slot=send.slot if stage is Stage.DEALT else None,
            source_topic=send.source_topic,
            source_partition=send.source_partition,
            source_offset=send.source_offset,
        )

    # ── one mail ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def settle(self, case: Case, now: datetime, *, keep_slot: bool, place: Place) -> Ended | Waiting | Dealt:
        """Decide, and deal what goes."""
        verdict = decide(case, self._world, now, self._settings)
        match verdict:
            case Refused():
                return Ended(emission=self._outcomes.final(case.send, verdict.type, verdict.rules, now))
            case Goes():
                weights = self.weights(verdict.campaign.pool, case.send.provider, now)
                if not weights:
                    return Waiting(reason="no_slot")
                lack = self.credit.take(case.send, verdict.campaign, place, now)
                if lack is not None:
                    return Waiting(reason=lack)
                return self._deal(case, verdict, weights, now, keep_slot=keep_slot)
            case _:
                return Waiting(reason=verdict.reason, until=verdict.until)

    def _deal(self, case: Case, goes: Goes, weights: Weights, now: datetime, *, keep_slot: bool) -> Dealt:
        send, campaign, offsets = case.send, goes.campaign, self._world.offsets
        slot, version, turn = send.slot, 0, 0  # a retry on its own IP is no new deal: 0 keeps it out of the bound
        if keep_slot and any(slot == one for one, _ in weights):
            self._slots.keep(campaign.pool, send.provider, slot)
        else:
            slot, version, turn = self._slots.deal(campaign.pool, send.provider, weights)
        dealt = msgspec.structs.replace(
            send,
            content=send.content if goes.content is None else goes.content.version,
            queued_at=now,
            deal=send.deal + 1,
            pool=campaign.pool,
            slot=slot,
            gate_partition=self._partition,
            weights_version=version,
            turn=turn,
            due=now,
            expire_at=goes.expire_at,
            on_uncertain=campaign.on_uncertain,
            cap_class=send.cap_class if case.dealt_before else campaign.cap_class,
            views=Views(
                campaigns=offsets.get(topics.CONTENTS.name, 0),
                egress=offsets.get(topics.EGRESS.name, 0),
                suppressions=offsets.get(topics.SUPPRESSIONS.name, 0),
            ),
        )
        if case.entry is not None and case.dealt_before:
            entry = msgspec.structs.replace(case.entry, stage=Stage.DEALT, deal=dealt.deal, slot=slot)
        else:
            entry = self._entry(dealt, campaign, goes.content, Stage.DEALT, end=goes.expire_at)
        return Dealt(emission=send_emission(dealt), entry=entry)

    def forget_dealers(self) -> None:
        """After a failure half way: what was dealt may be taken back."""
        self._slots.forget()

    def weights(self, pool: str, provider: str, now: datetime) -> Weights:
        """Who may take the pool's mail to this provider; an empty one: whatever the provider."""
        return self._slots.usable(pool, provider, self._world.share(pool, provider, now), now)
