"""The parts of the sender's bench: what is sent, who takes it, what the clock and the auditor make of it."""

from __future__ import annotations

import smtplib
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from schemas import ids
from schemas.events import Delivery
from streams.delivery import outcomes
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.smtp import Result
from streams.operate.bench import mailing, sink
from streams.operate.bench.sender import audit, clock, page, sides
from streams.operate.bench.sender.page import Told
from streams.operate.proof.receiving import make_key
from streams.runtime.metrics import REGISTRY, TRANSACTIONS

AT = datetime(2026, 9, 1, 9, tzinfo=UTC)
INF = float("inf")
# With dots that are doubled on the wire, blanks at a line's end and a blank line at the message's.
MAIL = "Subject: x\r\n\r\nHi. \r\n.\r\n..\r\n\r\n"


def deliveries(*numbers: int, disposition: str = "accepted") -> list[Delivery]:
    """What a sender says of the sends of these numbers."""
    told = Result(disposition=disposition, class_="accepted", smtp_code=250, stage="dot", via="127.0.0.2")  # type: ignore[arg-type]
    settings = OutcomeSettings(address_key=b"k" * 32)
    sends = [mailing.send(number, slots=2, version="0" * 32, at=AT) for number in numbers]
    return [outcomes.concluded(send, told, AT, settings, jitter=0.5).delivery for send in sends]


def names(*numbers: int) -> frozenset[str]:
    """The sends of these numbers."""
    return frozenset(map(mailing.send_id, numbers))


def test_a_message_has_10_kb_on_the_wire(tmp_path: Path) -> None:
    """Composed and signed: what the budget of a message speaks of, within 3 %."""
    make_key(tmp_path / mailing.KEY_FILE)
    assert mailing.octets(tmp_path, AT) == pytest.approx(10_240, rel=0.03)


def test_a_send_lies_in_the_partition_of_its_slot() -> None:
    """Its key places it there, and each slot gets its share."""
    sends = [mailing.send(number, slots=4, version="0" * 32, at=AT) for number in range(2_000)]
    assert all(ids.partition_for(one.send_id.encode(), 4) == one.slot for one in sends)
    assert min(Counter(one.slot for one in sends).values()) > 400
    assert len({one.send_id for one in sends}) == len({one.to.address for one in sends}) == 2_000


def test_who_begins_alternates() -> None:
    """What else the machine does meets both sides alike."""
    first, second, third = map(sides.order, (1, 2, 3))
    assert first == third == second[::-1]
    assert set(first) == {"with", "without"}


@pytest.mark.integration
def test_the_receiver_counts_each_message_before_its_250(tmp_path: Path) -> None:
    """smtp-sink where the machine has it, else our simulator: one more with each reply, from 0."""
    with sink.receiving(tmp_path, keep_every=2) as receiver, smtplib.SMTP("127.0.0.1", receiver.port) as client:
        for count in range(3):
            assert receiver.count() == count
            client.sendmail("a@bench.example", ["b@mail.example"], MAIL)
        assert receiver.count() == 3
        took = receiver.received()
    assert took.addresses == {"b@mail.example": 3}
    assert set(took.sample) == {MAIL.encode()}


@pytest.mark.integration
def test_our_simulator_counts_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no smtp-sink; the report then names what there is."""
    monkeypatch.setattr(sink, "SMTP_SINK", "no-such-program")
    assert sink.kind() == "our simulator"
    test_the_receiver_counts_each_message_before_its_250(tmp_path)


def test_the_clock_runs_in_the_middle() -> None:
    """From a fifth of the messages to the last fifth; what was told before is not told again."""
    counted, commits = iter(range(0, 101, 10)), iter((7.0, 12.0))
    reached = 0

    def count() -> int:
        nonlocal reached
        reached = next(counted, 100)
        return reached

    began = time.perf_counter()
    told = clock.measure(count, lambda: Told(commits=next(commits)), {}, messages=100, patience_s=9, alive=lambda: True)
    assert reached == 100
    # A mark counts anew, and the count has gone on by then: 20 and 80 are reached, 30 and 90 are noted.
    assert told.messages == 60
    assert told.told.commits == 5.0
    assert 0 < told.wall_s < time.perf_counter() - began


@pytest.mark.parametrize(("patience_s", "alive"), [(9.0, False), (0.05, True)], ids=["gone", "stands still"])
def test_nobody_waits_for_messages_that_do_not_come(patience_s: float, *, alive: bool) -> None:
    """A sender that is gone, or that sends nothing any more, is late; how many came is said."""
    with pytest.raises(clock.Late, match="30 messages"):
        clock.measure(lambda: 30, Told, {}, messages=100, patience_s=patience_s, alive=lambda: alive)


def test_the_page_tells_commits_and_no_other_result() -> None:
    """The very page that a worker serves is read: an aborted transaction is no commit."""
    before = page.parse(generate_latest(REGISTRY).decode())
    TRANSACTIONS.labels("committed").inc(3)
    TRANSACTIONS.labels("aborted").inc(2)
    assert page.parse(generate_latest(REGISTRY).decode()).since(before).commits == 3


def test_quantiles_are_linear_within_a_bucket() -> None:
    """As Prometheus has them; beyond the last bound its bound counts; of nothing there is none."""
    told = Told(intents=((0.001, 50.0), (0.002, 90.0), (0.004, 98.0), (INF, 100.0)))
    assert told.intent_ms(0.5) == pytest.approx(1.0)
    assert told.intent_ms(0.7) == pytest.approx(1.5)
    assert told.intent_ms(0.99) == pytest.approx(4.0)
    assert Told().intent_ms(0.5) is None
    assert told.since(told).intent_ms(0.5) is None


def test_a_right_run_has_no_fault() -> None:
    """Each send accepted, once; intents and outcomes of each with the journal, none without."""
    asked = names(1, 2)
    written = [(kind, name) for name in asked for kind in ("intent", "outcome")]
    assert audit.delivered(deliveries(1, 2), asked) == []
    assert audit.journaled([*written, ("checkpoint", "")], asked, "with") == []
    assert audit.journaled([("checkpoint", "")], asked, "without") == []


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (deliveries(1), "no delivery of 1 sends"),
        (deliveries(1, 2, 2), "1 sends delivered more than once"),
        (deliveries(1, 2, 3), "deliveries of 1 sends that nobody asked for"),
        ([*deliveries(1, 2), *deliveries(2, disposition="uncertain")], "1 deliveries are uncertain"),
    ],
    ids=["lost", "twice", "beyond", "uncertain"],
)
def test_the_auditor_names_what_is_wrong(said: list[Delivery], fault: str) -> None:
    """A send that is lost, delivered twice, nobody's, or has another end."""
    (found,) = audit.delivered(said, names(1, 2))
    assert fault in found


def test_a_journal_that_lacks_something_is_a_fault() -> None:
    """An intent that is not there, and one that is there on the side that writes none."""
    asked = names(1, 2)
    outcomes_ = [("outcome", name) for name in asked]
    (lacking,) = audit.journaled([*outcomes_, ("intent", mailing.send_id(1))], asked, "with")
    assert "intents of 1 sends in the journal, 2 wanted" in lacking
    (beyond,) = audit.journaled([("intent", mailing.send_id(1))], asked, "without")
    assert "intents of 1 sends in the journal, 0 wanted" in beyond
