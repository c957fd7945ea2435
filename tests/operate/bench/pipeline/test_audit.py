"""The pipeline's auditor: a right run has no fault, and each kind of wrong one is found."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from streams.compose.dkim import Signer, public_record
from streams.operate.bench import mailing
from streams.operate.bench.pipeline import audit, scene
from streams.operate.bench.pipeline.audit import Evidence
from streams.operate.bench.pipeline.work import Plan
from streams.operate.bench.took import Took
from streams.operate.proof.receiving import make_key
from streams.operate.proof.usage import Used
from streams.runtime.settings import Settings
from tests.operate.bench.pipeline.world import EVENTS, evidence


def found(seen: Evidence) -> list[str]:
    """The names of what is wrong, but for signatures."""
    judged = (audit.conserved(seen), audit.as_asked(seen, EVENTS), audit.at_the_sink(seen, EVENTS))
    return [one.name for one in judged if not one.ok]


def test_what_is_asked_has_each_story() -> None:
    """1.5 % are no mail: a second event of a person comes right behind its first, under the same id or another."""
    asked = list(scene.asked(200))
    assert Counter(one.ends for one in asked) == {"accepted": 197, "duplicate": 1, "capped": 1, "suppressed": 1}
    assert asked[50].recipient == asked[49].recipient
    assert asked[100].recipient.recipient_id == asked[99].recipient.recipient_id
    assert asked[100].recipient.dedup_key != asked[99].recipient.dedup_key
    (request,) = scene.suppressions(200, datetime(2026, 9, 1, tzinfo=UTC))
    assert request.address == asked[150].recipient.to.address
    assert scene.messages(200) == 197


def test_the_cap_is_what_the_campaign_counts_against() -> None:
    """One mail of the class a person: the second edition has none left."""
    (cap,) = scene.tenant().caps
    assert (cap.class_, cap.max) == (scene.campaign(10).cap_class, 1)


def test_a_right_run_has_no_fault() -> None:
    """Each event its end, each person its outcomes, each mail once."""
    assert found(evidence()) == []


def test_of_two_editions_either_may_go() -> None:
    """The auditor knows a person's outcomes, not which of its events they are of."""
    finals = list(evidence().finals)
    (first, one, here), (second, other, there) = finals[99:101]
    assert (first, one) == (second, "accepted")
    finals[99:101] = [(first, other, here), (second, one, there)]
    assert found(evidence(finals=tuple(finals))) == []


def test_an_event_without_an_end_is_lost() -> None:
    """By its own coordinates; so is its person's outcome."""
    lost = evidence(finals=evidence().finals[1:])
    assert found(lost) == ["events without their one end", "persons with other outcomes"]


def test_a_second_end_of_an_event_is_one_too_many() -> None:
    """As is one of an event that is none."""
    finals = evidence().finals
    assert "events without their one end" in found(evidence(finals=(*finals, finals[0])))
    assert "events without their one end" in found(evidence(finals=(*finals, ("p0000000", "accepted", (9, 9)))))


def test_mail_that_is_doubled_or_goes_to_the_suppressed_is_found() -> None:
    """Also where the number is right; and a number that is wrong by itself."""
    right = evidence().took.addresses
    lost_and_doubled = Counter(right) + Counter({mailing.address(1): 1}) - Counter({mailing.address(0): 1})
    for addresses in (lost_and_doubled, Counter(right) + Counter({mailing.address(150): 1})):
        assert found(evidence(took=Took(addresses=addresses, sample=()))) == ["mail lost, doubled or unasked"]
    assert found(evidence(counted=395)) == ["mail lost, doubled or unasked"]


def test_signatures_are_verified_and_none_is_no_proof(tmp_path: Path) -> None:
    """A message as it was signed passes, one that was changed does not; an empty sample fails."""
    key = make_key(tmp_path / mailing.KEY_FILE)
    record = public_record(key).encode()
    body = b"Hello.\r\n"
    field = Signer(mailing.DOMAIN, "s1", key).sign([("From", "a@bench.example")], body, at=0)
    mail = field + b"From: a@bench.example\r\n\r\n" + body
    assert audit.signed([mail, mail], record).ok
    assert audit.signed([mail, mail.replace(b"Hello", b"Hullo")], record).value == 1
    assert not audit.signed([], record).ok
    assert audit.unsigned([mail.partition(b"From:")[2]]).ok
    assert audit.unsigned([mail]).value == 1
    assert not audit.unsigned([]).ok


def test_all_of_it_is_judged(tmp_path: Path) -> None:
    """Also ClickHouse against Kafka; the key is that of the run."""
    make_key(tmp_path / mailing.KEY_FILE)
    judged = audit.checks(Settings(data_dir=tmp_path), evidence(rows={0: (EVENTS, 79_801)}), Plan(events=EVENTS))
    assert [one.name for one in judged if not one.ok] == ["signatures by dkimpy", "ClickHouse = Kafka"]


def test_usage_adds_up_and_takes_off() -> None:
    """Two members of a role are one; what was before is none of it."""
    both = Used(cpu_s=1.0, threads={"python": 1.0}) + Used(cpu_s=2.0, threads={"python": 1.5, "rdk:main": 0.5})
    assert both == Used(cpu_s=3.0, threads={"python": 2.5, "rdk:main": 0.5})
    assert both.since(Used(cpu_s=1.0, threads={"python": 1.0})) == Used(
        cpu_s=2.0, threads={"python": 1.5, "rdk:main": 0.5}
    )
