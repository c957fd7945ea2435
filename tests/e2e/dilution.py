"""One tenant's poor list, spread over all IPs: what each of them shows to the providers is the pool's bounce rate.

Counted on the receiver's log alone: what it refused and what it took, by the IP that it came from.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any, Final

from tests.e2e.receiver_log import Arrivals
from tests.support.e2e import Box

SEED: Final = 7
POOR: Final = "poor"
# Of all mail, and of that the addresses that do not exist.
POOR_VOLUME: Final = 0.02
POOR_BAD: Final = 0.30
# The others', whose lists are as lists are.
BAD: Final = 0.005
OTHERS: Final = tuple(f"fair{number}" for number in range(5))
DOMAINS: Final = ("a.example", "b.example", "c.example", "d.example")
# Standard errors that an IP's rate may be away from the pool's: less than one run in a thousand has one by chance.
BOUND: Final = 4.0


def diluted(world: Box, *, mails: int) -> dict[str, Any]:
    """Each IP's bounce rate within four standard errors of the pool's; all its mail is there."""
    chance = random.Random(SEED)
    for tenant in (POOR, *OTHERS):
        world.tenant(tenant)
        world.campaign(f"{tenant}:all")
    asked: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    people: dict[str, list[tuple[str, str]]] = {}
    for number in range(mails):
        tenant = POOR if chance.random() < POOR_VOLUME else chance.choice(OTHERS)
        wrong = chance.random() < (POOR_BAD if tenant == POOR else BAD)
        asked[tenant] += 1
        bad[tenant] += wrong
        local = f"{'unknown-' if wrong else 'u'}{number}"
        people.setdefault(tenant, []).append((f"u{number}", f"{local}@{chance.choice(DOMAINS)}"))
    arrivals = Arrivals(world.simulator_log)
    before = len(arrivals.look())
    for tenant, those in people.items():
        world.recipients(f"{tenant}:all", those)
    balance = world.balanced(*(f"{tenant}:all" for tenant in people), events=mails)
    assert balance.types == {"accepted": mails - bad.total(), "bounced": bad.total()}
    tried: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    of_poor: Counter[str] = Counter()
    for one in arrivals.look()[before:]:
        tried[one.peer] += 1
        refused[one.peer] += not one.accepted
        of_poor[one.peer] += one.tenant == POOR
    assert len(tried) == world.settings.kafka.slots
    assert (tried.total(), refused.total()) == (mails, bad.total())
    rate = refused.total() / mails
    away = {peer: (refused[peer] / tried[peer] - rate) / math.sqrt(rate * (1 - rate) / tried[peer]) for peer in tried}
    assert max(map(abs, away.values())) <= BOUND, away
    return {
        "mails": mails,
        "poor_tenant": {"mails": asked[POOR], "bounce_rate": round(bad[POOR] / asked[POOR], 4)},
        "pool_bounce_rate": round(rate, 5),
        "by_ip": {
            peer: {
                "mails": tried[peer],
                "of_the_poor": of_poor[peer],
                "bounce_rate": round(refused[peer] / tried[peer], 5),
                "standard_errors": round(away[peer], 2),
            }
            for peer in sorted(tried)
        },
        "bound_standard_errors": BOUND,
    }
