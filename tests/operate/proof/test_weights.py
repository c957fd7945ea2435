"""What a version of weights names is found among all that a run's weights can be."""

from __future__ import annotations

import pytest

from streams.operate.proof.weights import named
from streams.spread.dealing import weights_version

DECLARED = {slot: 1.0 + slot / 4 for slot in range(8)}


@pytest.mark.parametrize(
    "factors", [{}, {3: 0.0}, {0: 0.5, 7: 1 / 64}, {1: 0.0, 2: 0.0, 5: 0.25}, dict.fromkeys(range(7), 0.0)]
)
def test_what_may_be_is_found(factors: dict[int, float]) -> None:
    """As declared, with IPs left out, up to all but one, with IPs lowered."""
    weights = {slot: weight * factors.get(slot, 1.0) for slot, weight in DECLARED.items()}
    weights = {slot: weight for slot, weight in weights.items() if weight > 0}
    version = weights_version(tuple(weights.items()))
    assert named([version], DECLARED) == {version: weights}


def test_what_may_not_be_is_missing() -> None:
    """Another IP, another weight."""
    strange = [weights_version(((9, 1.0),)), weights_version(tuple((slot, 2.0) for slot in DECLARED))]
    assert named([*strange, weights_version(tuple(DECLARED.items()))], DECLARED).keys() == {
        weights_version(tuple(DECLARED.items()))
    }
