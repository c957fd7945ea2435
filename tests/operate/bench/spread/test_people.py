"""Whom the bench of the spread writes to, and what it does to the gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from schemas.events import Recipient
from schemas.topics import RECIPIENTS_TRANSACTIONAL
from streams.operate.bench.spread import scene
from streams.operate.bench.spread.people import TAIL_DOMAINS, known_domains, people
from streams.operate.bench.spread.plan import Kind, make
from streams.spread.providers import DOMAINS, provider_of

EVENTS = 50_000
ASKED = list(people(EVENTS, seed=1))
RECIPIENTS = [msgspec.json.decode(one.body, type=Recipient) for one in ASKED]


def test_the_same_seed_asks_for_the_same_mail() -> None:
    """And another for other mail."""
    first = [one.body for one in ASKED[:3000]]
    assert [one.body for one in people(3000, seed=2)] != [one.body for one in people(3000, seed=1)]
    assert len(first) == len(set(first))


def test_domains_are_as_promised() -> None:
    """200 domains, each of a known provider, all that have domains among them; and 10,000 with one recipient each."""
    known = known_domains()
    assert len(set(known)) == 200
    assert {provider_of(domain, {}) for domain in known} == set(DOMAINS.values())
    counts = Counter(one.to.address.rpartition("@")[2] for one in RECIPIENTS)
    tail = [domain for domain in counts if domain.endswith(".example")]
    assert len(tail) == TAIL_DOMAINS and {counts[domain] for domain in tail} == {1}
    assert counts.keys() - set(tail) == set(known)


def test_tenants_volumes_fall_with_their_rank() -> None:
    """Zipf: the first has about ten times the tenth's."""
    counts = Counter(one.tenant for one in RECIPIENTS)
    assert len(counts) == scene.TENANTS
    assert 8 < counts[scene.tenant_id(0)] / counts[scene.tenant_id(9)] < 12.5


def test_transactional_mail_has_its_topic_and_its_key() -> None:
    """Each kind on its own topic; a seventh is transactional."""
    for asked, one in zip(ASKED, RECIPIENTS, strict=True):
        assert (asked.topic is RECIPIENTS_TRANSACTIONAL) == (one.dedup_key is not None)
        assert asked.key == f"{one.tenant}:{one.recipient_id}"
    share = sum(one.dedup_key is not None for one in RECIPIENTS) / EVENTS
    assert 0.1 < share < 0.2


@pytest.mark.parametrize("restarts", [2, 6, 13])
def test_what_is_done_to_the_gates(restarts: int) -> None:
    """So many restarts, an IP more after a third of them, one less after two thirds; stages make up the events."""
    plan = make(seed=1, events=10_001, restarts=restarts)
    kinds = [blow.kind for blow in plan.blows]
    assert plan.restarts == restarts == kinds.count(Kind.KILL) + kinds.count(Kind.RESTART)
    assert 0 < kinds.index(Kind.ADD) + 1 < kinds.index(Kind.DRAIN) + 1 <= len(kinds)
    assert len(plan.stages) == len(kinds) + 1 and sum(plan.stages) == 10_001
    assert max(plan.stages) - min(plan.stages) <= 1


def test_six_restarts_are_every_pair() -> None:
    """Each worker is killed and restarted."""
    plan = make(seed=1, events=9_000, restarts=6)
    assert len({blow.name for blow in plan.blows if blow.member}) == 6


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_declarations_are_what_the_audit_expects(phase: int) -> None:
    """What upstream is told about the IPs, folded up, gives the weights of each phase."""
    told: list[Callable[[], object]] = [scene.added, scene.drained]
    slots = {one.slot: one for one in scene.egress()}
    for tell in told[:phase]:
        one = tell()
        slots[one.slot] = one  # type: ignore[attr-defined,assignment]  # an Egress
    active = {one.slot: one.weight for one in slots.values() if one.state == "active"}
    assert active == scene.phases()[phase]
