"""The audit of the spread: what is even passes, and each way of being uneven or out of order is seen."""

from __future__ import annotations

import random

import msgspec
import pytest

from streams.operate.bench.spread import audit, beside, scene
from streams.operate.bench.spread.evidence import Deal
from streams.spread.check import WINDOW_BOUND
from tests.operate.bench.spread.evidence_builder import GMAIL, RARE, dealt, evidence, flawless

PHASES = scene.phases()


def test_a_flawless_run_is_even_and_in_order() -> None:
    """Any window within two, windows of 1,000 counted, none of 10,000, and each declaration in its place."""
    found = audit.ordered(flawless(), PHASES)
    assert found.faults == () and found.versions == len(PHASES)
    assert [one.weights for one in found.sequences[GMAIL]] == list(PHASES)
    assert [one.weights for one in found.sequences[RARE]] == [PHASES[2]]
    even = audit.evenness(found.sequences)
    assert even.between <= WINDOW_BOUND and even.over <= WINDOW_BOUND + 2 and even.beyond == 0
    assert even.of_length[1_000].count == 301 + 201 + 101
    assert even.of_length[1_000].worst <= even.between + 1e-9
    assert even.of_length[10_000] == audit.Windows(count=0, worst=0.0)
    assert even.by_provider.keys() == {"gmail", "nifty"}


def test_arrival_does_not_matter() -> None:
    """Slots are partitions, read in any order: the turns put them right."""
    deals = dealt(GMAIL, [(0, 500), (1, 500), (2, 500)])
    mixed = random.Random(3).sample(deals, len(deals))
    assert audit.ordered(evidence({GMAIL: mixed}), PHASES) == audit.ordered(evidence({GMAIL: deals}), PHASES)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda deals: deals[:-2] + deals[-1:], "turns are not 1 to 899, from 900 on"),
        (lambda deals: [*deals, deals[10]], "turns are not 1 to 901, from 11 on"),
        (lambda deals: [msgspec.structs.replace(deals[0], at=99.0), *deals[1:]], "1 deals are older"),
    ],
)
def test_a_wrong_count_of_deals_is_seen(edit: object, words: str) -> None:
    """A lost deal, one dealt twice after a restart, one dealt later than the next."""
    deals: list[Deal] = edit(dealt(GMAIL, [(0, 300), (1, 300), (2, 300)]))  # type: ignore[operator]
    assert any(words in fault for fault in audit.ordered(evidence({GMAIL: deals}), PHASES).faults)


def test_weights_of_before_are_seen() -> None:
    """A gate that deals under an older declaration again, after a newer one."""
    deals = dealt(GMAIL, [(0, 300), (1, 300), (2, 300), (1, 100)])
    found = audit.ordered(evidence({GMAIL: deals}), PHASES)
    assert "partition 0 shared/gmail: weights of declaration 2 after those of 3" in found.faults


def test_mail_to_a_drained_ip_is_seen() -> None:
    """Its share is none: three sends stray by three."""
    deals = dealt(GMAIL, [(0, 300), (1, 300), (2, 300)])
    strayed = [msgspec.structs.replace(one, slot=scene.DRAINED) if one.turn > 897 else one for one in deals]
    even = audit.evenness(audit.ordered(evidence({GMAIL: strayed}), PHASES).sequences)
    assert even.between >= 3


def test_totals_are_of_all_groups() -> None:
    """They sum to the sends, on both sides, and the new IP has its share of two declarations alone."""
    found = audit.totals(audit.ordered(flawless(), PHASES).sequences)
    assert sum(one.dealt for one in found.values()) == 3_640
    assert sum(one.share for one in found.values()) == pytest.approx(3_640)
    parts = [phase[scene.ADDED] / sum(phase.values()) for phase in PHASES[1:]]
    assert found[scene.ADDED].share == pytest.approx(parts[0] * 1_200 + parts[1] * 1_140)


def test_wrong_dealers_are_refused() -> None:
    """The same lengths under the same weights: drawn at random, or dealt by one who forgets at six restarts."""
    right = audit.ordered(flawless(), PHASES).sequences
    for wrong in (beside.at_random(right), beside.forgetful(right, restarts=6)):
        assert {group: [len(one.slots) for one in each] for group, each in wrong.items()} == {
            GMAIL: [1300, 1200, 1100],
            RARE: [40],
        }
        assert audit.evenness(wrong).between > WINDOW_BOUND
    assert audit.evenness(beside.forgetful(right, restarts=0)).between <= WINDOW_BOUND
