"""Each of the demo's checks holds for a flawless run and fails for the one flaw that it is there for."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas.events import Delivery, DeliveryType, Destination, Send
from streams.operate.demo import checks, figures, plan, scene
from streams.operate.demo.evidence import Asked, Evidence, Place
from streams.operate.demo.plan import PlannedEvent
from streams.operate.demo.signatures import Verified
from streams.spread.dealing import Dealer, weights_version

AT = datetime(2026, 11, 24, tzinfo=UTC)
PLAN = plan.make(plan.LEAST, seed=1, at=AT)
NAMED = [event for event in PLAN.events if event.expected is not None]
DEALT = {"accepted", "bounced", "expired", "uncertain"}


def send_id(event: PlannedEvent) -> str:
    """An id of its own for each event."""
    return f"{event.number:032x}"


def place(event: PlannedEvent) -> Place:
    """Where Kafka has it."""
    return (f"recipients.{event.kind}", 0, event.number)


def delivery(event: PlannedEvent, type_: DeliveryType) -> Delivery:
    """A final outcome, 250 ms after the event."""
    tenant, _, campaign = event.campaign.partition(":")
    topic, partition, offset = place(event)
    return Delivery(
        event_id=send_id(event), send_id=send_id(event), tenant=tenant, campaign_id=campaign, recipient_id="r",
        kind=event.kind, channel="mail", address_id="", domain="", provider="", pool="", slot=0, via="", type=type_,
        final=True, class_="", deal=1, attempt=1, smtp_code=None, enhanced_code="", reply="", rules=(),
        at=AT + timedelta(seconds=event.number, milliseconds=250), queued_at=AT, latency_ms=0,
        source_topic=topic, source_partition=partition, source_offset=offset,
    )  # fmt: skip


def send(event: PlannedEvent, slot: int) -> Send:
    """The event's first dealing."""
    tenant, _, campaign = event.campaign.partition(":")
    topic, partition, offset = place(event)
    return Send(
        send_id=send_id(event), tenant=tenant, campaign_id=campaign, kind=event.kind, recipient_id="r",
        to=Destination(address="a@docomo.example"), variables={}, content="", created_at=AT,
        queued_at=AT + timedelta(seconds=event.number), deal=1, attempt=0, pool="shared", slot=slot,
        gate_partition=0, weights_version=weights_version(WEIGHTS), turn=event.number + 1, due=AT, expire_at=AT,
        provider="docomo", on_uncertain="hold", cap_class=None,
        source_topic=topic, source_partition=partition, source_offset=offset,
    )  # fmt: skip


def flawless() -> Evidence:
    """What a run without a flaw leaves behind."""
    dealer, weights = Dealer("test", WEIGHTS), WEIGHTS
    going = [event for event in NAMED if event.expected in DEALT]
    return Evidence(
        asked=tuple(
            Asked(place=place(event), at=AT.timestamp() + event.number, campaign=event.campaign, event=event.number)
            for event in NAMED
        ),
        unnamed=len(PLAN.events) - len(NAMED),
        dead_letters=len(PLAN.events) - len(NAMED),
        deliveries=tuple(delivery(event, event.expected) for event in NAMED),  # type: ignore[arg-type]  # NAMED have one
        sends=tuple(send(event, dealer.deal(weights)) for event in sorted(going, key=lambda one: one.number)),
        records={0: (10, 45)},
        rows={0: (10, 45)},
        taken=Counter(send_id(event) for event in NAMED if event.expected == "accepted"),
        touched=frozenset({("acme", "someone@docomo.example")}),
    )


WEIGHTS = tuple((slot.slot, slot.weight) for slot in scene.egress())
FLAWLESS = flawless()


def failed(**flaw: object) -> list[str]:
    """The checks that fail on a run with this flaw."""
    evidence = msgspec.structs.replace(FLAWLESS, **flaw)
    return [one.name for one in checks.of_evidence(PLAN, evidence) if not one.ok]


def test_a_flawless_run_passes() -> None:
    """Every check, and each campaign has its own of conservation."""
    found = checks.of_evidence(PLAN, FLAWLESS)
    assert all(one.ok for one in found)
    assert {f"conservation {mailing.key}" for mailing in scene.MAILINGS} <= {one.name for one in found}


def test_a_lost_outcome_is_seen() -> None:
    """By its campaign's conservation and by the plan."""
    campaign = f"{FLAWLESS.deliveries[0].tenant}:{FLAWLESS.deliveries[0].campaign_id}"
    assert f"conservation {campaign}" in failed(deliveries=FLAWLESS.deliveries[1:])
    assert "outcomes as planned" in failed(deliveries=FLAWLESS.deliveries[1:])


def test_a_second_outcome_is_seen() -> None:
    """Two finals of one event, though both are the same."""
    doubled = (*FLAWLESS.deliveries, FLAWLESS.deliveries[0])
    assert any(name.startswith("conservation") for name in failed(deliveries=doubled))


def test_an_outcome_of_no_event_is_seen() -> None:
    """A final whose coordinates no recipient event has, also of a campaign that nobody asked for."""
    stray = msgspec.structs.replace(FLAWLESS.deliveries[0], campaign_id="stray", source_offset=10**6)
    assert "conservation " + f"{stray.tenant}:stray" in failed(deliveries=(*FLAWLESS.deliveries, stray))


def test_another_outcome_than_planned_is_seen() -> None:
    """Conservation holds, and yet one bounced that should have been accepted."""
    (first, *rest) = FLAWLESS.deliveries
    wrong = msgspec.structs.replace(first, type="rejected")
    assert failed(deliveries=(wrong, *rest))[:1] == ["outcomes as planned"]


def test_which_of_a_person_s_editions_are_capped_is_open_and_how_many_is_not() -> None:
    """They wait together: two that swap their ends are as planned, one more accepted is not."""
    editions = {event.number for event in PLAN.events if event.story == "capped"}
    places = {asked.place for asked in FLAWLESS.asked if asked.event in editions}
    ends = [one for one in FLAWLESS.deliveries if (one.source_topic, one.source_partition, one.source_offset) in places]
    capped = next(one for one in ends if one.type == "capped")
    accepted = next(one for one in ends if one.type == "accepted" and one.campaign_id == capped.campaign_id)
    rest = [one for one in FLAWLESS.deliveries if one not in (capped, accepted)]
    swapped = [
        msgspec.structs.replace(capped, type="accepted"), msgspec.structs.replace(accepted, type="capped"),
    ]  # fmt: skip
    assert "outcomes as planned" not in failed(deliveries=(*rest, *swapped))
    assert "outcomes as planned" in failed(deliveries=(*rest, swapped[0], accepted))


def test_random_dealing_is_seen() -> None:
    """The bound means something: IPs drawn at random break it."""
    chance = random.Random(1)  # a test's dice
    drawn = tuple(msgspec.structs.replace(one, slot=chance.randrange(scene.SLOTS)) for one in FLAWLESS.sends)
    assert failed(sends=drawn) == ["spread in any window"]


def test_an_ip_that_is_left_out_for_a_while_changes_the_shares() -> None:
    """Its sender stood still: no share is what was declared, and the spread holds by the weights of the moment."""
    dealer, part = Dealer("test", WEIGHTS), len(FLAWLESS.sends) // 3
    held = WEIGHTS[:2] + WEIGHTS[4:]
    sends = []
    for number, one in enumerate(FLAWLESS.sends):
        slot = dealer.deal(held if part <= number < 2 * part else WEIGHTS)
        sends.append(msgspec.structs.replace(one, slot=slot, weights_version=dealer.version))
    assert failed(sends=tuple(sends)) == []
    as_declared = tuple(msgspec.structs.replace(one, weights_version=weights_version(WEIGHTS)) for one in sends)
    assert failed(sends=as_declared) == ["spread in any window"]


def test_weights_that_nothing_explains_are_seen() -> None:
    """A version that is neither as declared nor with IPs left out or lowered."""
    strange = tuple(msgspec.structs.replace(one, weights_version=1) for one in FLAWLESS.sends)
    assert failed(sends=strange) == ["weights that nothing explains"]


def test_a_retry_from_another_ip_is_seen() -> None:
    """It is no new deal (weights version 0), so the spread does not see it."""
    first = FLAWLESS.sends[0]
    again = msgspec.structs.replace(first, deal=2, weights_version=0, slot=(first.slot + 1) % scene.SLOTS)
    assert failed(sends=(*FLAWLESS.sends, again)) == ["retries from another IP"]


@pytest.mark.parametrize(
    ("flaw", "name"),
    [
        ({"rows": {0: (9, 40)}}, "ClickHouse = Kafka"),
        ({"rows": {0: (10, 46)}}, "ClickHouse = Kafka"),
        ({"taken": FLAWLESS.taken + Counter(["f" * 32])}, "accepted = receiver's log"),
        ({"taken": FLAWLESS.taken - Counter([next(iter(FLAWLESS.taken))])}, "accepted = receiver's log"),
        ({"taken": FLAWLESS.taken + Counter([next(iter(FLAWLESS.taken))])}, "accepted = receiver's log"),
        ({"touched": frozenset(list(PLAN.barred)[:1])}, "mail to the suppressed"),
        ({"dead_letters": FLAWLESS.dead_letters + 1}, "dead letters"),
        ({"unnamed": FLAWLESS.unnamed + 1}, "dead letters"),
    ],
)
def test_each_witness_that_disagrees_is_seen(flaw: dict[str, object], name: str) -> None:
    """By its own check, and by no other."""
    assert failed(**flaw) == [name]


def test_an_event_that_kafka_does_not_hold_is_seen() -> None:
    """Lost before the gate: conservation alone would not know."""
    first = FLAWLESS.asked[0]
    without = tuple(one for one in FLAWLESS.deliveries if one.source_offset != first.place[2])
    assert "events in Kafka as planned" in failed(asked=FLAWLESS.asked[1:], deliveries=without)


@pytest.mark.parametrize(
    ("verified", "ok"),
    [
        (Verified(sampled=3, dkimpy=3, opendkim=3), [True, True]),
        (Verified(sampled=3, dkimpy=3, opendkim=2), [True, False]),
        (Verified(sampled=3, dkimpy=2, opendkim=None), [False]),
        (Verified(sampled=0, dkimpy=0, opendkim=None), [False]),
    ],
)
def test_signatures_must_verify_and_there_must_be_some(verified: Verified, ok: list[bool]) -> None:
    """Where OpenDKIM is not installed it is no check."""
    assert [one.ok for one in checks.of_signatures(verified)] == ok


def test_latency_is_from_the_event_to_the_inbox() -> None:
    """Of plain transactional mail alone: 250 ms each here."""
    pace = figures.pace(PLAN, FLAWLESS, cpu_s={"gate": 1.0})
    assert pace.p50_ms == pytest.approx(250, abs=1)
    assert pace.p99_ms == pytest.approx(250, abs=1)
    assert pace.cpu_us["gate"] == pytest.approx(1e6 / len(FLAWLESS.sends))
