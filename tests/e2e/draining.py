"""An IP is taken out while mail waits at it, and taken back: by command, seen at the receivers."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

from tests.e2e.receiver_log import Arrivals
from tests.support.e2e import FIRST_HOST, GATE_PARTITIONS, SLOTS, Box, until

DRAINED: Final = SLOTS - 1
# Seconds from a command's return until the receivers see it: views within 1 s, a slot's connections end theirs in 1 s.
EFFECT_S: Final = 10.0
# A dealer's windows deviate by 2, and by 1 more for each change of weights: without the IP, and with its mail dealt
# again.  Each partition has a dealer for the domain's provider as the list has it, and one as its MX hosts have it.
APART: Final = GATE_PARTITIONS * 2 * 3


def host(slot: int) -> str:
    """The slot's address."""
    return f"127.0.0.{FIRST_HOST + slot}"


def drained(world: Box, *, recipients: int) -> dict[str, Any]:
    """Nothing more leaves from it, what waited there goes out through the others, evenly, none lost, none twice."""
    tenant = "gone"
    campaign = f"{tenant}:all"
    world.tenant(tenant)
    world.campaign(campaign)
    # One second each at four connections an IP: for a while most of it waits at the slots.
    people = [(f"u{n}", f"slow-u{n}@{tenant}.example") for n in range(recipients)]
    world.recipients(campaign, people)
    arrivals = Arrivals(world.simulator_log)
    until(lambda: _by(arrivals, tenant)[host(DRAINED)] >= 1, "mail from each IP")
    world.evenpost("egress", "drain", host(DRAINED))
    said = time.time()
    balance = world.balanced(campaign, events=recipients)
    assert balance.types == {"accepted": recipients}
    came = arrivals.of(tenant)
    assert Counter(one.rcpt_to for one in came) == dict.fromkeys((address for _, address in people), 1)
    last_s = max(one.at for one in came if one.peer == host(DRAINED)) - said
    assert last_s <= EFFECT_S, f"mail from a drained IP {last_s:.1f} s later"
    by = _by(arrivals, tenant)
    others = [by[host(slot)] for slot in range(SLOTS) if slot != DRAINED]
    assert max(others) - min(others) <= APART, by
    back = int(
        world.sql(f"SELECT count() FROM deliveries FINAL WHERE tenant = '{tenant}' AND class = 'slot_closed'")[0][0]
    )
    assert back > 0, "mail waited at the drained IP"
    return {"recipients": recipients, "by_ip": dict(by), "came_back": back, "last_s": round(last_s, 1)}


def taken_back(world: Box, *, recipients: int) -> dict[str, Any]:
    """Mail leaves from it again within seconds of the command."""
    tenant = "again"
    campaign = f"{tenant}:all"
    world.tenant(tenant)
    world.campaign(campaign, pace_per_s=20.0)
    world.evenpost("egress", "drain", str(DRAINED))
    world.recipients(campaign, [(f"u{n}", f"u{n}@{tenant}.example") for n in range(recipients)])
    arrivals = Arrivals(world.simulator_log)
    until(lambda: arrivals.of(tenant), "the first mail, from the others")
    world.evenpost("egress", "resume", host(DRAINED))
    said = time.time()
    until(lambda: _by(arrivals, tenant)[host(DRAINED)], "mail from the IP that is back")
    first_s = min(one.at for one in arrivals.of(tenant) if one.peer == host(DRAINED)) - said
    assert first_s <= EFFECT_S, first_s
    world.balanced(campaign, events=recipients)
    return {"recipients": recipients, "first_s": round(first_s, 1), "by_ip": dict(_by(arrivals, tenant))}


def _by(arrivals: Arrivals, tenant: str) -> Counter[str]:
    return Counter(one.peer for one in arrivals.of(tenant))
