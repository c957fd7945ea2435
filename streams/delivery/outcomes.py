"""What becomes of a send: the checks before MAIL FROM, and what a receiver's answer means.  Pure.

`withheld` says why a send may not go now (G4 and the campaign's state are looked at again, after the dealer did);
`concluded` turns an attempt's result into its outcome, `doubtful` an attempt's that has none: its sender is gone.  An
`Outcome` holds all that follows from it: the delivery event, the send that comes back, the suppression.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from schemas import ids
from schemas.events import (
    FINAL_TYPES,
    GUESSED_IN_DOUBT,
    Delivery,
    DeliveryType,
    Intent,
    Outcome,
    Return,
    Rule,
    Send,
    Suppression,
)
from streams.delivery import retry
from streams.delivery.smtp import Result
from streams.views import World

# Finals that reached nobody: the person's place under the cap is free again (DESIGN.md G5).  Of a send in doubt none
# can say so: an attempt before may have reached the person, though a later one was refused.
GIVEN_BACK: Final = frozenset({"bounced", "expired", "rejected", "cancelled", "suppressed"})
# What can't go now (campaign paused, view behind) is looked at by the dealer again after this.
PARKED_S: Final = 2.0
# The same for hosts that no list names.  Of sixteen IPs another one is chosen fifteen times in sixteen.
UNLISTED_S: Final = 15.0
# And where none of the pool's IPs may send to those hosts: nothing but time helps, and every look is a deal.
NOWHERE_S: Final = 300.0
# A key that can't be read is an operator's mistake: mended within minutes, and no reason to lose mail.
UNSIGNED_S: Final = 60.0
# The class of a send that waits for its provider's limits at this slot.
SHAPED: Final = "shaped"
# RFC 5321 4.2.1: a 5yz is not to be asked again in the same form.
_NEVER: Final = 500
# The class of an attempt whose sender went away between intent and outcome (replies.toml).
SENDER_LOST: Final = "sender_lost"


@dataclass(frozen=True, kw_only=True)
class OutcomeSettings:
    """What outcomes depend on beside event and world."""

    address_key: bytes
    address_key_version: int = 1
    retry_scale: float = 1.0


_NO_REPLY: Final = Result(disposition="soft", class_="", stage="route", via="")


def withheld(
    send: Send, world: World, now: datetime, settings: OutcomeSettings, *, provider: str = ""
) -> Outcome | None:
    """The outcome of a send that may not go now; None = it may.

    `provider` is whose hosts take its mail, where that is known: what stops mail to those counts as well.
    """
    campaign = world.campaigns.get(ids.campaign_key(send.tenant, send.campaign_id))
    state = "running" if campaign is None else world.campaign_state(campaign, now, send.provider)
    if state == "cancelled":
        rule = Rule(rule="campaign_state", value="cancelled", limit="running")
        return _outcome(send, "cancelled", "campaign_cancelled", now, settings, rules=(rule,))
    if send.expire_at <= now:
        rule = Rule(rule="expire_at", value=now.isoformat(), limit=send.expire_at.isoformat())
        return _outcome(send, "expired", "too_late", now, settings, rules=(rule,))
    address = address_id(send, settings)
    entries = tuple(world.suppressed(address, tenant=send.tenant, channel=send.to.channel, now=now))
    if entries:
        rules = tuple(
            Rule(rule="suppressed", value=f"{entry.scope}/{entry.reason}", limit="no entry", next_eligible=entry.until)
            for entry in entries
        )
        return _outcome(send, "suppressed", entries[0].reason, now, settings, rules=rules)
    if state == "paused":
        return _parked(send, "parked", "paused", now, settings, after_s=PARKED_S)
    if world.slot_closed(send.slot, send.provider, now):
        return _parked(send, "drained", "slot_closed", now, settings, after_s=0.0)
    if provider not in {"", send.provider}:
        # The dealer knows these hosts by no name: it may choose this slot again, so it is not asked each moment.
        if campaign is not None and world.campaign_state(campaign, now, provider) == "paused":
            return _parked(send, "parked", "paused", now, settings, after_s=UNLISTED_S)
        if world.slot_closed(send.slot, provider, now):
            after_s = _dealt_after_s(send, world, now, provider)
            return _parked(send, "drained", "slot_closed", now, settings, after_s=after_s)
    return None


def behind(send: Send, now: datetime, settings: OutcomeSettings) -> Outcome:
    """The outcome of a send whose content this sender's view does not have yet: it goes back, it never fails."""
    return _parked(send, "parked", "view_behind", now, settings, after_s=PARKED_S)


def shaped(send: Send, limit: str, now: datetime, settings: OutcomeSettings, *, after_s: float) -> Outcome:
    """The outcome of a send that its provider can't take from this slot now: its place comes after so long."""
    return _parked(send, "parked", SHAPED, now, settings, after_s=after_s, limit=limit)


def shut_out(send: Send, world: World, now: datetime, settings: OutcomeSettings, *, provider: str) -> Outcome:
    """The outcome of a send whose provider takes nothing from this slot for a while: it is dealt anew, elsewhere."""
    after_s = _dealt_after_s(send, world, now, provider)
    return _parked(send, "drained", SHAPED, now, settings, after_s=after_s, limit="shut to this slot")


def _dealt_after_s(send: Send, world: World, now: datetime, provider: str) -> float:
    """When a send is dealt anew that may not go from here to this provider: a little later, so that the dealer knows.

    What is the matter with hosts that no list names, it never does.
    """
    if provider in {"", send.provider}:
        return PARKED_S
    return UNLISTED_S if world.weights(send.pool, provider, now) else NOWHERE_S


def unsigned(send: Send, now: datetime, settings: OutcomeSettings) -> Outcome:
    """The outcome of a send whose DKIM key can't be used: it waits for the key to be mended."""
    return _parked(send, "parked", "dkim_key", now, settings, after_s=UNSIGNED_S)


def refused(send: Send, class_: str, rule: Rule, now: datetime, settings: OutcomeSettings) -> Outcome:
    """The outcome of a send that can't be made a message: `rejected`."""
    return _outcome(send, "rejected", class_, now, settings, rules=(rule,))


def failed(send: Send, error_name: str, now: datetime, settings: OutcomeSettings, *, begun: Intent | None) -> Outcome:
    """The outcome of a send that an internal error of ours stopped, and that is not tried again.

    Behind an intent nobody knows whether the mail went: `uncertain`, and not `rejected`, which gives its place back.
    """
    rule = Rule(rule="internal_error", value=error_name, limit="none")
    if begun is None:
        return _outcome(send, "rejected", "internal_error", now, settings, rules=(rule,))
    tried = msgspec.structs.replace(send, attempt=begun.attempt)
    return _outcome(tried, "uncertain", "internal_error", now, settings, rules=(rule,))


def concluded(send: Send, result: Result, now: datetime, settings: OutcomeSettings, *, jitter: float) -> Outcome:
    """The outcome of an attempt."""
    tried = msgspec.structs.replace(send, attempt=send.attempt + 1)
    match result.disposition:
        case "accepted":
            return _outcome(tried, "accepted", result.class_, now, settings, result=result)
        case "hard":
            return _outcome(tried, "bounced", result.class_, now, settings, result=result)
        case "uncertain" if send.on_uncertain == "hold":
            return _outcome(tried, "uncertain", result.class_, now, settings, result=result)
        case "uncertain":
            return _deferred(sent_again(tried), result, now, settings, jitter)
        case _:
            return _deferred(tried, result, now, settings, jitter)


def doubtful(send: Send, intent: Intent, now: datetime, settings: OutcomeSettings) -> Outcome | None:
    """The outcome of a send whose intent stands in the journal without one; None = it goes on as `sent_again`.

    Nobody knows whether the mail went: the campaign has said what it would rather have, none or two (DESIGN.md G2).
    """
    if send.on_uncertain == "resend":
        return None
    begun = f"begun at {intent.at.isoformat()} on {intent.connection}: its sender was lost before it knew the outcome"
    result = Result(disposition="uncertain", class_=SENDER_LOST, reply=begun, stage="dot", via="")
    tried = msgspec.structs.replace(send, attempt=intent.attempt)
    return _outcome(tried, "uncertain", SENDER_LOST, now, settings, result=result)


def sent_again(send: Send) -> Send:
    """The send after an attempt of which nobody knows: it may have had its effect, whatever the next ones come to."""
    return msgspec.structs.replace(send, in_doubt=True)


def _deferred(send: Send, result: Result, now: datetime, settings: OutcomeSettings, jitter: float) -> Outcome:
    elsewhere = _refuses_the_ip(result)
    due = retry.next_due(
        retry.IP_REFUSED if elsewhere else result.class_,
        attempt=send.attempt,
        now=now,
        expire_at=send.expire_at,
        jitter=jitter,
        scale=settings.retry_scale,
    )
    if due is None:
        return _outcome(send, "expired", result.class_, now, settings, result=result)
    returned = Return(kind="drained" if elsewhere else "retry", send=send, due=due, reason=result.class_, at=now)
    return _outcome(send, "deferred", result.class_, now, settings, result=result, returned=returned)


def _refuses_the_ip(result: Result) -> bool:
    """Whether a 5yz says nothing of the mail, and all of the IP it came from (replies.toml): another one may get in.

    A "later" (4yz) asks the same IP to come again (RFC 5321 4.2.1).
    """
    return result.class_ == "policy" and result.smtp_code is not None and result.smtp_code >= _NEVER


def _parked(
    send: Send,
    kind: Literal["parked", "drained"],
    reason: str,
    now: datetime,
    settings: OutcomeSettings,
    *,
    after_s: float,
    limit: str = "",
) -> Outcome:
    due = now + timedelta(seconds=after_s)
    rules = (Rule(rule=reason, value=send.provider, limit=limit, next_eligible=due),) if limit else ()
    returned = Return(kind=kind, send=send, due=due, reason=reason, at=now)
    return _outcome(send, "waiting", reason, now, settings, returned=returned, rules=rules)


def _outcome(
    send: Send,
    type_: DeliveryType,
    class_: str,
    now: datetime,
    settings: OutcomeSettings,
    *,
    result: Result = _NO_REPLY,
    rules: tuple[Rule, ...] = (),
    returned: Return | None = None,
) -> Outcome:
    if send.in_doubt and type_ in GUESSED_IN_DOUBT:
        type_ = "uncertain"
    if type_ in GIVEN_BACK and send.cap_class is not None and not send.in_doubt:
        returned = Return(kind="give_back", send=send, due=now, reason=type_, at=now)
    delivery = Delivery(
        event_id=ids.deal_event_id(send, type_),
        send_id=send.send_id,
        tenant=send.tenant,
        campaign_id=send.campaign_id,
        recipient_id=send.recipient_id,
        kind=send.kind,
        channel=send.to.channel,
        address_id=address_id(send, settings),
        domain=ids.canonical_address(send.to.address).rpartition("@")[2],
        provider=send.provider,
        pool=send.pool,
        slot=send.slot,
        via=result.via,
        type=type_,
        final=type_ in FINAL_TYPES,
        class_=class_,
        deal=send.deal,
        attempt=send.attempt,
        smtp_code=result.smtp_code,
        enhanced_code=result.enhanced,
        reply=result.reply,
        rules=rules,
        at=now,
        queued_at=send.queued_at,
        latency_ms=round((now - send.queued_at).total_seconds() * 1000),
        source_topic=send.source_topic,
        source_partition=send.source_partition,
        source_offset=send.source_offset,
    )
    suppression = _suppression(send, delivery, now) if type_ == "bounced" and result.suppresses else None
    return Outcome(send_id=send.send_id, deal=send.deal, delivery=delivery, returned=returned, suppression=suppression)


def _suppression(send: Send, delivery: Delivery, now: datetime) -> Suppression:
    """A dead address is dead for every tenant: one tenant's bounce spares the pool all later ones."""
    return Suppression(
        scope="global",
        channel=send.to.channel,
        reason="hard_bounce",
        address_id=delivery.address_id,
        source=f"smtp {delivery.enhanced_code or delivery.smtp_code or delivery.class_}",
        at=now,
    )


def address_id(send: Send, settings: OutcomeSettings) -> str:
    """The name of the send's address in events."""
    return ids.address_id(send.to.address, settings.address_key, version=settings.address_key_version)


def is_behind(send: Send, offsets: Mapping[str, int]) -> bool:
    """Whether this worker's views have not read what the dealer had when it dealt."""
    return (
        offsets.get("contents", 0) < send.views.campaigns
        or offsets.get("egress", 0) < send.views.egress
        or offsets.get("suppressions", 0) < send.views.suppressions
    )
