"""A provider blocks one of our IPs: its mail goes out through the others, and nobody else is harmed.

Two providers get the same mail at a steady rate; one of them refuses one IP from the beginning.  On the receiver's log:
what was refused, for how long, and who carried the rest.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any, Final

from tests.e2e.receiver_log import Arrivals
from tests.support.e2e import FIRST_HOST, Box

# Answered by the simulator's DNS: loopback alone.
BLOCKING: Final = "docomo.ne.jp"
OPEN: Final = "au.com"
SLOT: Final = 1
ADDRESS: Final = f"127.0.0.{FIRST_HOST + SLOT}"
SIMULATED: Final = ("--block", f"{BLOCKING}={ADDRESS}")
# Mails a second, half of them to each.
PER_S: Final = 30.0
# Three refusals make the rule fire; then CONTROL's word has to reach gate and sender, and what is under way comes back.
MOVES_S: Final = 20.0
# An even share is exact to two sends a gate partition; what comes back from the blocked IP is dealt beside it.
EVEN: Final = 0.1
_STEP_S: Final = 0.2


def blocked(world: Box, *, mails: int) -> dict[str, Any]:
    """All accepted; refusals end soon after the first; the other IPs share the mail, the other provider's is even."""
    world.tenant("steady")
    campaign = world.campaign("steady:all")
    arrivals = Arrivals(world.simulator_log)
    began, asked = time.time(), 0
    while asked < mails:
        due = min(mails, int((time.time() - began) * PER_S)) - asked
        people = [(f"u{n}", f"u{n}@{BLOCKING if n % 2 else OPEN}") for n in range(asked, asked + due)]
        if people:
            world.recipients(campaign, people)
        asked += due
        time.sleep(_STEP_S)
    balance = world.balanced(campaign, events=mails)
    assert balance.types == {"accepted": mails}, balance.types
    refused = [one for one in arrivals.look() if not one.accepted]
    assert {(one.peer, one.rcpt_to.rpartition("@")[2]) for one in refused} == {(ADDRESS, BLOCKING)}
    lasted = refused[-1].at - refused[0].at
    assert lasted <= MOVES_S, f"refused for {lasted:.1f} s, {len(refused)} times"
    taken = {domain: Counter[str]() for domain in (BLOCKING, OPEN)}
    for one in arrivals.look():
        if one.accepted:
            taken[one.rcpt_to.rpartition("@")[2]][one.peer] += 1
    assert ADDRESS not in taken[BLOCKING]
    slots = world.settings.kafka.slots
    away = {
        domain: max(abs(count / (counts.total() / ips) - 1) for count in counts.values())
        for domain, counts, ips in ((BLOCKING, taken[BLOCKING], slots - 1), (OPEN, taken[OPEN], slots))
    }
    assert len(taken[OPEN]) == slots and max(away.values()) <= EVEN, (taken, away)
    incidents = [one for one in json.loads(world.evenpost("incidents", "--json")) if one["key"] == f"{SLOT}/docomo"]
    assert incidents, "CONTROL said nothing of it"
    return {
        "mails": mails,
        "refused": len(refused),
        "refused_for_s": round(lasted, 1),
        "limit_s": MOVES_S,
        "accepted_by_ip": {domain: dict(sorted(counts.items())) for domain, counts in taken.items()},
        "furthest_from_even": {domain: round(value, 3) for domain, value in away.items()},
        "rules": sorted({one["rule"] for one in incidents}),
    }
