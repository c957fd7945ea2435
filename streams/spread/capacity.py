"""What a pool may send to one provider: under the weights no slot gets more than its rate there (choice 14).

1. A slot's rate at a provider is what its sender learned there, while that is fresh; else its configured limit; either
   slowed as controls say.  None: nothing bounds it there, and the pool's own window (streams.spread.window) does.
2. The pool's is the least of rate/share over its slots: the dealer deals by shares, so the tightest slot decides.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from schemas.events import Condition
from streams.spread.dealing import Weights
from streams.spread.weights import CONDITION_S


def slot_rate(condition: Condition | None, limit_per_s: float | None, *, slow_to: float, now: datetime) -> float | None:
    """Sends a second of one slot to one provider; None = no limit."""
    rate = limit_per_s
    if condition is not None and condition.rate_per_s is not None:
        fresh = abs(now - condition.at) < timedelta(seconds=CONDITION_S)  # from the future: none, as for weights
        if fresh:
            rate = condition.rate_per_s if rate is None else min(rate, condition.rate_per_s)
    return None if rate is None else rate * slow_to


def pool_capacity(weights: Weights, rate: Callable[[int], float | None]) -> float | None:
    """Sends a second of the pool; None = no slot is limited; `rate` is asked for each slot of the weights."""
    total = sum(weight for _, weight in weights)
    bounds = [found * total / weight for slot, weight in weights if (found := rate(slot)) is not None]
    return min(bounds, default=None)
