"""Rounds are drawn by a seed, for any kinds."""

from __future__ import annotations

from enum import StrEnum

import pytest

from streams.operate.chaos.blows import NoOrderError, drawn


class Kind(StrEnum):
    """Two that are none of the runtime's."""

    ONE = "one"
    OTHER = "other"


def test_an_order_that_does_not_fit_is_not_taken() -> None:
    """Drawn anew until it fits; where none does, it is said."""
    for seed in range(20):
        rounds = drawn(tuple(Kind), seed=seed, rounds=6, fits=lambda order: order[0] is Kind.OTHER)
        assert rounds[0].kind is Kind.OTHER and Kind.ONE in {one.kind for one in rounds}
    with pytest.raises(NoOrderError, match="no order of 2 rounds of one, other was found"):
        drawn(tuple(Kind), seed=1, rounds=2, fits=lambda _: False)
