"""How many deals a second one core makes: the dealer alone, of unequal weights, without any state around it."""

import time
from typing import Final

from streams.spread.dealing import Dealer, Weights

# Deals a measurement: some 50 ms.  The best of so many is what the core can do when it is let alone.
DEALS: Final = 20_000
TRIES: Final = 5
# IPs, and the deals a second that must be made (DESIGN.md, choice 7).
LIMITS: Final[dict[int, float]] = {16: 100_000.0, 400: 70_000.0}
_WEIGHTS: Final = (1.0, 0.5, 2.0, 1.5, 0.25)


def deals_per_s(slots: int) -> float:
    """Of this thread's CPU time: what else the machine does is not counted."""
    weights: Weights = tuple((slot, _WEIGHTS[slot % len(_WEIGHTS)]) for slot in range(slots))
    return max(_measured(weights, number) for number in range(TRIES))


def _measured(weights: Weights, number: int) -> float:
    dealer = Dealer(f"speed {number}", weights)
    began = time.thread_time()
    for _ in range(DEALS):
        dealer.deal(weights)
    return DEALS / (time.thread_time() - began)
