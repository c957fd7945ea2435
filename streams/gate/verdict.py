"""Whether a mail may go now: a pure function of the mail, the person, the world, the time and the settings.

Every rule is looked at, so that a refusal names all that failed.  What refuses for good wins by `PRECEDENCE`:

1. invalid, cancelled, expired, rejected, duplicate: final at once, whatever else the mail might wait for;
2. else it waits for its campaign to be known, compiled, running, started, for a slot in its pool, and for its window
   (streams.gate.quiet) to open; where that says so, a mail outside of its window is expired instead;
3. else suppressed, capped: final, as things stand at the moment it would go.

A mail that was dealt before keeps its place under the caps and the content that it was dealt with.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from schemas import ids
from schemas.events import Campaign, Content, Rule, Send
from streams.gate.caps import failed_caps
from streams.gate.person import ENTRIES, Entry, Person
from streams.gate.quiet import Quiet, quiet
from streams.gate.state import after, millis
from streams.gate.terms import DeskSettings
from streams.views.world import CampaignStatus, World

Refusal = Literal["invalid", "cancelled", "expired", "rejected", "duplicate", "suppressed", "capped"]
WaitReason = Literal["unknown_campaign", "content", "paused", "start", "quiet", "no_slot", "pace", "capacity"]

PRECEDENCE: Final[tuple[Refusal, ...]] = (
    "invalid",
    "cancelled",
    "expired",
    "rejected",
    "duplicate",
    "suppressed",
    "capped",
)
# Refusals that depend on the moment of dealing; the others hold while the mail waits, too.
_WHEN_DEALT: Final = frozenset({"suppressed", "capped"})


@dataclass(frozen=True, kw_only=True)
class Refused:
    """It never goes: the type of its final outcome, and all rules that failed."""

    type: Refusal
    rules: tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True)
class Waits:
    """It may go later, for the first reason found; `until` says when, where that is known beforehand."""

    reason: WaitReason
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Goes:
    """It may go now, with this content (None = the one it was dealt with), until `expire_at`."""

    campaign: Campaign
    content: Content | None
    expire_at: datetime


@dataclass(frozen=True, kw_only=True)
class Case:
    """One mail to decide on.

    `send` is its draft, or the send that came back; `entry` what the person's record knows of its send id, `person`
    that record.  `faults` are what reading the event found wrong.  `missing_since` is since when its campaign, or the
    campaign's content, is not there.
    """

    send: Send
    person: Person
    entry: Entry | None
    missing_since: datetime
    faults: tuple[Rule, ...] = ()

    @property
    def dealt_before(self) -> bool:
        """Whether it came back from a sender."""
        return self.send.deal > 0


def decide(case: Case, world: World, now: datetime, settings: DeskSettings) -> Refused | Waits | Goes:
    """Judge one mail."""
    send = case.send
    campaign = world.campaigns.get(ids.campaign_key(send.tenant, send.campaign_id))
    content = world.content(campaign) if campaign and not case.dealt_before else None
    failed: list[tuple[Refusal, Rule]] = [("invalid", rule) for rule in case.faults]
    failed += _unknown(case, campaign, world, now, settings, content)
    end = expiry(send, campaign, settings)
    state = None if campaign is None else world.campaign_state(campaign, now, send.provider)
    failed += _of_campaign(state, end, now)
    failed += _of_content(content)
    if not case.dealt_before:
        failed += _of_entry(case)
    if not case.faults:  # a bad address has no id to look up
        failed += _suppressed(send, world, now, settings)
    if campaign is not None and not case.dealt_before:
        failed += _capped(case.person, campaign, world, now)
    compiled = case.dealt_before or content is not None
    reason = campaign_waits(campaign, state, world, now, compiled=compiled)
    hours = quiet(send, campaign, world.tenants.get(send.tenant), now)
    until = None
    if isinstance(hours, Rule):
        failed.append(("invalid", hours))
    elif hours is not None and reason is None:
        if hours.window.outside == "drop":
            failed.append(("expired", hours.rule(now)))
        else:
            reason, until = "quiet", hours.until
    final = [type_ for type_, _ in failed if reason is None or type_ not in _WHEN_DEALT]
    if final:
        return Refused(type=min(final, key=PRECEDENCE.index), rules=tuple(rule for _, rule in failed))
    if campaign is None or reason is not None:
        return Waits(reason=reason or "unknown_campaign", until=until)
    return Goes(campaign=campaign, content=content, expire_at=end)


def expiry(send: Send, campaign: Campaign | None, settings: DeskSettings) -> datetime:
    """When the mail is no longer worth sending: the campaign's end, or a term by kind from when it could first go."""
    begin = send.created_at
    if campaign is not None and campaign.start_at is not None:
        begin = max(begin, campaign.start_at)
    own = after(begin, settings.lifetime_s(send.kind))
    return own if campaign is None or campaign.expire_at is None else min(own, campaign.expire_at)


def ends_at(send: Send, campaign: Campaign | None, missing_since: datetime | None, settings: DeskSettings) -> datetime:
    """When a mail that waits ends if nothing changes: it expires, or what it misses is not awaited any longer."""
    end = expiry(send, campaign, settings)
    if missing_since is None:
        return end
    return min(end, after(max(missing_since, send.created_at), settings.unknown_campaign_wait_s))


def kept_until(end: datetime, campaign: Campaign | None, content: Content | None, settings: DeskSettings) -> datetime:
    """When the entry of a mail that expires at `end` may be forgotten: a week after that, or after its campaign's."""
    if campaign is not None and campaign.expire_at is not None:
        end = max(end, campaign.expire_at)
    elif content is not None:
        activated = max(content.compiled_at, (campaign and campaign.start_at) or content.compiled_at)
        end = max(end, after(activated, settings.campaign_default_end_s))
    return after(end, settings.keep_s)


def _unknown(
    case: Case,
    campaign: Campaign | None,
    world: World,
    now: datetime,
    settings: DeskSettings,
    content: Content | None,
) -> list[tuple[Refusal, Rule]]:
    send, found = case.send, list[tuple[Refusal, Rule]]()
    missing = campaign is None or (content is None and not case.dealt_before)
    limit_s = settings.unknown_campaign_wait_s
    if missing and now - max(case.missing_since, send.created_at) >= timedelta(seconds=limit_s):
        limit = f"known within {limit_s:g} s"
        if send.tenant not in world.tenants:  # its topic may be read later than the recipients'
            found.append(("invalid", Rule(rule="tenant", value=send.tenant, limit=limit)))
        value = f"{send.campaign_id} is {'unknown' if campaign is None else 'not compiled'}"
        found.append(("invalid", Rule(rule="campaign", value=value, limit=limit)))
    if campaign is not None and campaign.kind != send.kind:
        found.append(("invalid", Rule(rule="kind", value=send.kind, limit=f"{campaign.kind}, as the campaign")))
    return found


def _of_campaign(state: CampaignStatus | None, end: datetime, now: datetime) -> list[tuple[Refusal, Rule]]:
    found: list[tuple[Refusal, Rule]] = []
    if state == "cancelled":
        found.append(("cancelled", Rule(rule="campaign_state", value="cancelled", limit="running")))
    if now >= end:
        found.append(("expired", Rule(rule="expire_at", value=now.isoformat(), limit=end.isoformat())))
    return found


def _of_content(content: Content | None) -> list[tuple[Refusal, Rule]]:
    if content is None or content.state != "refused":
        return []
    return [("rejected", Rule(rule="content", value=content.reason, limit="content that compiles"))]


def _of_entry(case: Case) -> list[tuple[Refusal, Rule]]:
    if case.entry is not None and not case.entry.came_from(case.send):
        first = f"{case.entry.source_topic}/{case.entry.source_partition}/{case.entry.source_offset}"
        return [("duplicate", Rule(rule="duplicate", value=case.send.send_id, limit=f"once, as asked by {first}"))]
    if case.entry is None and len(case.person.entries) >= ENTRIES:
        value = f"{len(case.person.entries)} mails that wait or count"
        return [("rejected", Rule(rule="person", value=value, limit=str(ENTRIES)))]
    return []


def _suppressed(send: Send, world: World, now: datetime, settings: DeskSettings) -> list[tuple[Refusal, Rule]]:
    if not world.suppressions:
        return []
    address = ids.address_id(send.to.address, settings.address_key, version=settings.address_key_version)
    return [
        (
            "suppressed",
            Rule(rule="suppressed", value=f"{one.scope} {one.reason}", limit="no entry", next_eligible=one.until),
        )
        for one in world.suppressed(address, tenant=send.tenant, channel=send.to.channel, now=now)
    ]


def _capped(person: Person, campaign: Campaign, world: World, now: datetime) -> list[tuple[Refusal, Rule]]:
    tenant = world.tenants.get(campaign.tenant)
    if tenant is None or campaign.cap_class is None:
        return []
    rules = failed_caps(person, tenant=tenant, cap_class=campaign.cap_class, now_ms=millis(now))
    return [("capped", rule) for rule in rules]


def campaign_waits(
    campaign: Campaign | None, state: CampaignStatus | None, world: World, now: datetime, *, compiled: bool
) -> WaitReason | None:
    """What all mails of the campaign, in this state, wait for; `compiled`: they have their content."""
    if campaign is None:
        return "unknown_campaign"
    if not compiled:
        return "content"
    if state == "paused":
        return "paused"
    if campaign.start_at is not None and now < campaign.start_at:
        return "start"
    return None if world.slots(campaign.pool, now) else "no_slot"


def waiting_rule(reason: WaitReason, send: Send, world: World, now: datetime, settings: DeskSettings) -> Rule:
    """Why this mail waits, and what would let it go."""
    campaign = world.campaigns.get(ids.campaign_key(send.tenant, send.campaign_id))
    within = f"within {settings.unknown_campaign_wait_s:g} s"
    if campaign is None:
        return Rule(rule=reason, value=f"{send.campaign_id} is unknown", limit=f"known {within}")
    match reason:
        case "start":
            start = campaign.start_at or now
            return Rule(rule=reason, value=now.isoformat(), limit=start.isoformat(), next_eligible=start)
        case "pace":
            value = f"{campaign.pace_per_s or 0:g} a second are taken or not granted"
            return Rule(rule=reason, value=value, limit="a turn under the campaign's pace")
        case "capacity":
            value = f"what pool {campaign.pool} may send to {send.provider} is taken or not granted"
            return Rule(rule=reason, value=value, limit="a turn under the pool's capacity")
        case "quiet":
            hours = quiet(send, campaign, world.tenants.get(send.tenant), now)
            if isinstance(hours, Quiet):
                return hours.rule(now)
            return Rule(rule=reason, value=now.isoformat(), limit="its window")
        case "no_slot":
            return Rule(rule=reason, value=f"pool {campaign.pool}", limit="an active slot")
        case "paused":
            return Rule(rule=reason, value=f"{send.campaign_id} is paused", limit="running")
        case _:
            return Rule(rule=reason, value=f"{send.campaign_id} is not compiled", limit=f"compiled {within}")
