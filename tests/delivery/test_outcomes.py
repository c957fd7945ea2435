"""What follows from an attempt: of which nobody knows the end, that it is said so and its place under the cap kept."""

from __future__ import annotations

from datetime import timedelta

from schemas import ids
from schemas.events import Intent
from streams.delivery import outcomes, replies
from streams.delivery.outcomes import OutcomeSettings
from tests.compose.builders import NOW, send

SETTINGS = OutcomeSettings(address_key=b"k" * 32)
LATER = NOW + timedelta(minutes=5)
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
