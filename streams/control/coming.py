"""What waits at the gates and would go within the span, out of their demands; pure.

1. Each demand counts while it is fresh: a gate that is gone tells no more.  One from the future, of a clock that ran
   ahead, would count until then, so it is none.
2. Of a campaign with a pace only as much comes as its pace lets through until the span ends.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from schemas.events import Demand
from streams.control.surge import Waiting

# A gate tells its demand each 2 s while there is any.
FRESH: Final = timedelta(seconds=10)


def waiting(demands: Iterable[Demand], paces: Mapping[str, float], *, now: datetime, ends: datetime) -> Waiting:
    """By tenant and provider; `paces` is mails a second by `tenant:campaign`, `ends` the span's end."""
    tenants: Counter[str] = Counter()
    providers: Counter[str] = Counter()
    paced: Counter[str] = Counter()
    for demand in demands:
        if abs(now - demand.at) > FRESH:
            continue
        tenants.update(demand.tenants)
        paced.update(demand.paces)
        for place, number in demand.capacity.items():
            providers[place.partition("/")[2]] += number
    left_s = max((ends - now).total_seconds(), 0.0)
    for campaign, number in paced.items():
        tenant = campaign.partition(":")[0]
        stays = number - int(min(number, paces.get(campaign, 0.0) * left_s))
        tenants[tenant] = max(tenants[tenant] - stays, 0)
    return Waiting(tenants=+tenants, providers=+providers)
