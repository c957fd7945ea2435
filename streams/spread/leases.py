"""What CONTROL grants each gate partition: rates, split by what waits there (DESIGN.md, choice 14).

1. A rate is split over the partitions in proportion to what waits for it in each.  PRIOR_S of the rate counts as
   waiting everywhere: with little waiting the parts are nearly equal, and behind a long queue somewhere else a
   partition with nothing keeps little.  So a first mail finds credit, and what a partition that ran dry would not
   spend goes to those that have something.
2. Of capacity an equal FLOOR is kept back for all: new mail of any campaign may come anywhere.  A campaign's pace is
   split whole, and its parts sum to it.
3. A demand older than DEMAND_S is of a gate that is gone: nothing is known to wait there.
4. Leases expire: a partition that loses touch with CONTROL stops paced mail and marketing instead of overspending.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from schemas.events import Demand, Lease

PRIOR_S: Final = 0.5
FLOOR: Final = 0.2
# A gate tells its demand at least each 2 s while there is any.
DEMAND_S: Final = 5.0
# Sends a second that bound nobody.  Upstream may ask for a pace of 1e300: what no float holds would be null in
# the leases, and every gate would refuse them all.
NO_BOUND_PER_S: Final = 1e12


@dataclass(frozen=True, kw_only=True)
class Grants:
    """What all gate partitions together may spend, in sends a second.

    `paces` by campaign (`tenant:campaign`), `capacity` by `pool/provider`, `pools` by pool; `held` slots get nothing.
    """

    paces: Mapping[str, float] = field(default_factory=dict)
    capacity: Mapping[str, float] = field(default_factory=dict)
    pools: Mapping[str, float] = field(default_factory=dict)
    held: tuple[int, ...] = ()


def leases(
    grants: Grants, demands: Mapping[int, Demand], *, partitions: int, now: datetime, ttl_s: float
) -> list[Lease]:
    """One a gate partition."""
    current = [_current(demands.get(partition), now) for partition in range(partitions)]
    paces = _split_all(grants.paces, current, lambda demand, name: demand.paces.get(name, 0), floor=0.0)
    capacity = _split_all(grants.capacity, current, lambda demand, name: demand.capacity.get(name, 0), floor=FLOOR)
    pools = _split_all(grants.pools, current, _of_pool, floor=FLOOR)
    return [
        Lease(
            gate_partition=partition,
            issued_at=now,
            expires_at=now + timedelta(seconds=ttl_s),
            pace_per_s=paces[partition],
            capacity_per_s=capacity[partition],
            per_pool_s=pools[partition],
            held=grants.held,
        )
        for partition in range(partitions)
    ]


def split(rate: float, waiting: Sequence[int], *, floor: float) -> list[float]:
    """One rate's parts; they sum to it, or to NO_BOUND_PER_S."""
    rate = min(rate, NO_BOUND_PER_S)
    number = len(waiting)
    prior = PRIOR_S * rate / number
    total = sum(waiting) + PRIOR_S * rate
    by_need = (1.0 - floor) * rate
    parts = [floor * rate / number + by_need * (one + prior) / total for one in waiting] if total else [0.0] * number
    greatest = max(range(number), key=parts.__getitem__)
    parts[greatest] += rate - math.fsum(parts)  # what rounding took
    return parts


def _current(demand: Demand | None, now: datetime) -> Demand | None:
    return demand if demand is not None and abs(now - demand.at) <= timedelta(seconds=DEMAND_S) else None


def _of_pool(demand: Demand, pool: str) -> int:
    prefix = f"{pool}/"
    return sum(waiting for name, waiting in demand.capacity.items() if name.startswith(prefix))


def _split_all(
    rates: Mapping[str, float],
    demands: Sequence[Demand | None],
    waiting: Callable[[Demand, str], int],
    *,
    floor: float,
) -> list[dict[str, float]]:
    """By partition, each name's part."""
    parts: list[dict[str, float]] = [{} for _ in demands]
    for name, rate in rates.items():
        counts = [0 if demand is None else waiting(demand, name) for demand in demands]
        for own, part in zip(parts, split(rate, counts, floor=floor), strict=True):
            own[name] = part
    return parts
