"""What follows from an attempt: of which nobody knows the end, that it is said so and its place under the cap kept."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import msgspec
import pytest

from schemas import ids
from schemas.events import Intent, Outcome, Send
from streams.delivery import outcomes, replies
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.short_outcome import shortened
from streams.delivery.smtp import Result
from streams.views import World
from tests.compose.builders import NOW, send

SETTINGS = OutcomeSettings(address_key=b"k" * 32)
LATER = NOW + timedelta(minutes=5)
CAMPAIGN = {
    "tenant": "acme",
    "campaign_id": "autumn",
    "kind": "marketing",
    "from": {"address": "news@acme.example"},
    "subject": "s",
    "text": "t",
}
INTENT = Intent(
    send_id=send().send_id,
    deal=send().deal,
    attempt=3,
    content=send().content,
    connection="mx.docomo.example:40123",
    lane="sends.marketing",
    offset=7,
    at=NOW,
)


def test_a_sender_lost_between_intent_and_outcome_is_uncertain_where_the_campaign_holds() -> None:
    """Final, once (the event id is that of any uncertain end of this deal), counted as the attempt that it was."""
    outcome = outcomes.doubtful(send(on_uncertain="hold", attempt=2), INTENT, LATER, SETTINGS)
    assert outcome is not None
    delivery = outcome.delivery
    assert (delivery.type, delivery.final, delivery.class_, delivery.attempt) == ("uncertain", True, "sender_lost", 3)
    assert delivery.event_id == ids.deal_event_id(send(), "uncertain")
    assert "mx.docomo.example:40123" in delivery.reply and delivery.smtp_code is None
    assert (outcome.returned, outcome.suppression) == (None, None), "its place under the cap stays taken"
    assert "sender_lost" in replies._tables().class_


def test_a_sender_lost_between_intent_and_outcome_is_sent_again_where_the_campaign_says_so() -> None:
    """Nothing is said of it yet."""
    assert outcomes.doubtful(send(on_uncertain="resend"), INTENT, LATER, SETTINGS) is None


def after(send_: Send, disposition: str, **changes: object) -> Outcome:
    """What one attempt comes to."""
    result = Result(disposition=disposition, class_="connection_lost", stage="dot", via="")  # type: ignore[arg-type]
    return outcomes.concluded(msgspec.structs.replace(send_, **changes), result, NOW, SETTINGS, jitter=0)


def test_an_attempt_in_doubt_keeps_its_place_whatever_the_next_ones_come_to() -> None:
    """The first may have reached the person, so a bounce of the second gives nothing back, and an end is no claim."""
    outcome = after(send(on_uncertain="resend"), "uncertain")
    assert outcome.returned is not None and outcome.returned.kind == "retry"
    again = outcome.returned.send
    assert (outcome.delivery.type, again.in_doubt, again.attempt) == ("deferred", True, 1)
    bounced = after(again, "hard")
    assert (bounced.delivery.type, bounced.returned) == ("bounced", None)
    late = outcomes.withheld(again, World(), again.expire_at, SETTINGS)
    assert late is not None
    assert (late.delivery.type, late.delivery.class_, late.returned) == ("uncertain", "too_late", None)
    assert (late.delivery.final, late.delivery.rules[0].rule) == (True, "expire_at")
    assert after(again, "accepted").delivery.type == "accepted"


def test_a_last_attempt_in_doubt_is_uncertain_and_not_expired() -> None:
    """There is no time for another one: nobody knows how it ended."""
    outcome = after(send(on_uncertain="resend"), "uncertain", expire_at=NOW + timedelta(seconds=1))
    assert (outcome.delivery.type, outcome.delivery.final, outcome.returned) == ("uncertain", True, None)


def test_an_outcome_in_doubt_made_short_stays_in_doubt() -> None:
    """A send that fits no record ends here: it may have gone, so it is not said to be rejected."""
    sent = send(on_uncertain="resend")
    short = shortened(after(sent, "uncertain"), sent, "too large", NOW, SETTINGS)
    assert (short.delivery.type, short.delivery.class_, short.delivery.attempt) == ("uncertain", "record_refused", 1)
    assert short.returned is None


def test_an_internal_error_behind_an_intent_claims_nothing() -> None:
    """Before it, the mail is rejected and its place free; behind it, nobody knows, and the place is kept."""
    before = outcomes.failed(send(), "KeyError", NOW, SETTINGS, begun=None)
    assert (before.delivery.type, before.delivery.attempt) == ("rejected", 0)
    assert before.returned is not None and before.returned.kind == "give_back"
    behind = outcomes.failed(send(), "KeyError", NOW, SETTINGS, begun=INTENT)
    assert (behind.delivery.type, behind.delivery.attempt, behind.returned) == ("uncertain", 3, None)
    assert behind.delivery.rules[0].value == "KeyError"


@pytest.mark.parametrize(("disposition", "given_back"), [("hard", True), ("uncertain", False), ("accepted", False)])
def test_a_place_is_given_back_where_the_mail_is_known_to_have_reached_nobody(
    disposition: str, given_back: bool
) -> None:
    """A bounce frees it; `uncertain` and `accepted` keep it."""
    outcome = after(send(on_uncertain="hold"), disposition)
    assert outcome.delivery.final
    assert (outcome.returned is not None and outcome.returned.kind == "give_back") is given_back


@pytest.mark.parametrize(
    ("target", "key", "state", "kind", "class_"),
    [("slot", "3", "suspended", "drained", "slot_closed"), ("tenant", "acme", "paused", "parked", "paused")],
)
def test_a_control_on_hosts_that_no_list_names_is_kept_by_the_sender(
    target: str, key: str, state: str, kind: str, class_: str
) -> None:
    """The dealer knows them as `other`; the send goes back, to be dealt again in a while, and no other mail does."""
    world, place = World(), "mx:hoster.example"
    apply = partial(_apply, world)
    apply("egress", "3", slot=3, via={"kind": "bind", "address": "127.0.0.3"}, ehlo="m3.mail.example")
    mail = send(slot=3, tenant="acme", campaign_id="autumn", provider="other")
    apply("campaigns", "acme:autumn", **CAMPAIGN)
    word = {"target": target, "key": key, "state": state, "provider": place, "by": "automation:x", "reason": "x"}
    apply("controls", f"{target}/{key}/{place}@x", at=NOW, **word)
    assert outcomes.withheld(mail, world, NOW, SETTINGS) is None
    assert outcomes.withheld(mail, world, NOW, SETTINGS, provider="mx:another.example") is None
    outcome = outcomes.withheld(mail, world, NOW, SETTINGS, provider=place)
    assert outcome is not None and outcome.returned is not None
    assert (outcome.returned.kind, outcome.delivery.class_) == (kind, class_)
    assert outcome.returned.due == NOW + timedelta(seconds=outcomes.UNLISTED_S if target == "tenant" else 300)
    apply("egress", "4", slot=4, via={"kind": "bind", "address": "127.0.0.4"}, ehlo="m4.mail.example")
    sooner = outcomes.withheld(mail, world, NOW, SETTINGS, provider=place)
    assert sooner is not None and sooner.returned is not None
    assert sooner.returned.due == NOW + timedelta(seconds=15), "another IP takes it, or the tenant's pause is lifted"


@pytest.mark.parametrize(
    ("code", "class_", "kind"),
    [(550, "policy", "drained"), (450, "policy", "retry"), (550, "greylisted", "retry"), (None, "policy", "retry")],
)
def test_a_refusal_of_the_ip_for_good_is_dealt_anew_and_any_other_comes_back_to_its_ip(
    code: int | None, class_: str, kind: str
) -> None:
    """Also where no rule may say that the IP is blocked: at hosts that no list names.  Soon, as another IP gets in."""
    result = Result(disposition="soft", class_=class_, smtp_code=code, stage="rcpt", via="")
    mail = send(expire_at=NOW + timedelta(hours=1))
    outcome = outcomes.concluded(mail, result, NOW, SETTINGS, jitter=0)
    assert outcome.returned is not None and outcome.returned.kind == kind
    assert outcome.delivery.type == "deferred"
    assert (outcome.returned.due - NOW < timedelta(minutes=1)) is (kind == "drained")
    late = outcomes.concluded(msgspec.structs.replace(mail, expire_at=NOW), result, NOW, SETTINGS, jitter=0)
    assert late.delivery.type == "expired"


def test_what_a_host_of_no_name_takes_from_no_ip_is_looked_at_each_five_minutes() -> None:
    """Each look is a deal and a return; a named provider's mail is not even dealt, so that is told at once."""
    world, host = World(), "mx:hoster.example"
    apply = partial(_apply, world)
    for slot in (3, 4):
        via = {"kind": "bind", "address": f"127.0.0.{slot}"}
        apply("egress", str(slot), slot=slot, via=via, ehlo=f"m{slot}.mail.example")
    mail, waits = send(slot=3, provider="other"), []
    for provider in ("other", host, host, host):
        outcome = outcomes.shut_out(mail, world, NOW, SETTINGS, provider=provider)
        assert outcome.returned is not None and outcome.returned.kind == "drained"
        waits.append((outcome.returned.due - NOW).total_seconds())
        slot = 2 + len(waits)
        word = {"health": "blocked", "until": NOW + timedelta(hours=1), "evidence": "the day's messages are used up"}
        apply("conditions", f"{slot}/{host}", slot=slot, provider=host, at=NOW, **word)
    assert waits == [2.0, 15.0, 300.0, 300.0]


def _apply(world: World, topic: str, record_key: str, /, **body: object) -> None:
    world.apply(topic, record_key, msgspec.json.encode(body))
