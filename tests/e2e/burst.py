"""A burst beside a steady pool: one tenant asks for everything at once, and nobody else, and no provider, may feel it.

The provider takes so much a second from each IP, as configured; the burst is many minutes of that.  Meanwhile:

1. steady tenants go on, each below its fair share; a paced campaign goes at its pace;
2. transactional mail comes all the time;
3. when the gates have read it in, another tenant asks for a thousand marketing mails.

Until then what was asked for after it waits behind it in Kafka, but for transactional mail, whose topic is its own:
`read_in_s` tells how long.  All is measured on the receiver's log, against what was configured and asked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.receiver_log import Arrival, Arrivals, between, busiest, minutes, times
from tests.support.audit import Tail
from tests.support.e2e import LIMIT_S, Box, until

DOMAIN: Final = "docomo.ne.jp"  # answered by the simulator's DNS: loopback alone
PROVIDER: Final = "docomo"
# Mails a second that the provider takes from one IP.
PER_IP_S: Final = 75.0
SHAPING: Final = f"[provider.{PROVIDER}]\nmessages_per_s = {PER_IP_S:g}\nconnections = 4\n"
# Mails a second of each steady tenant, of the paced campaign, and of transactional mail.
STEADY_S: Final = 4.0
STEADY: Final = ("steady0", "steady1", "steady2")
PACE_S: Final = 10.0
TRANSACTIONAL_S: Final = 4.0
LATE_AFTER_S: Final = 150.0
# The promises.
CURVE: Final = 1.25
FAIR_TIME: Final = 1.5
P99_S: Final = 2.0
PACE_WITHIN: Final = 0.05
PACE_UNTIL: Final = 0.95
RETURNS: Final = 0.02
_STEP_S: Final = 0.25
BURST, PACED, LATE, TRANSACTIONAL = "burst", "paced", "late", "receipts"


@dataclass(kw_only=True)
class Asked:
    """What upstream asked for: how many of each tenant, and when each transactional mail was."""

    counts: dict[str, int] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)

    def people(self, tenant: str, count: int) -> Iterator[tuple[str, str]]:
        """The next so many of a tenant's."""
        first = self.counts.get(tenant, 0)
        self.counts[tenant] = first + count
        return ((f"{tenant}{number}", f"{tenant}{number}@{DOMAIN}") for number in range(first, first + count))


def burst(world: Box, *, mails: int, paced: int, late: int) -> dict[str, Any]:
    """Curve, fairness, latency, pace and returns, all at once."""
    slots = world.settings.kafka.slots
    for tenant in (BURST, PACED, LATE, *STEADY):
        world.tenant(tenant)
        world.campaign(f"{tenant}:all", **({"pace_per_s": PACE_S} if tenant == PACED else {}))
    world.tenant(TRANSACTIONAL)
    world.campaign(f"{TRANSACTIONAL}:all", kind="transactional")
    _compiled(world, len(STEADY) + 4)
    asked, arrivals = Asked(), Arrivals(world.simulator_log)
    began = time.time()
    world.recipients(f"{BURST}:all", asked.people(BURST, mails))
    world.recipients(f"{PACED}:all", asked.people(PACED, paced))
    late_at = _meanwhile(world, asked, arrivals, began=began, mails=mails, late=late)
    campaigns = [f"{tenant}:all" for tenant in asked.counts]
    balance = world.balanced(*campaigns, events=sum(asked.counts.values()))
    assert balance.types == {"accepted": sum(asked.counts.values())}, balance.types
    found = [one for one in arrivals.look() if one.accepted]
    ended = times(found, lambda one: one.tenant == BURST)[-1]
    fair_s = late / fair_share(slots * PER_IP_S)
    return {
        "asked": dict(asked.counts),
        "ips": slots,
        "per_ip_s": PER_IP_S,
        "burst_s": round(ended - began, 1),
        "read_in_s": round(times(found, lambda one: one.tenant in STEADY)[0] - began, 1),
        "used": _used(found, slots, begin=began + LATE_AFTER_S, end=ended - LATE_AFTER_S),
        **_curve(found),
        **_late(found, late, late_at, fair_s),
        **_latency(found, asked, began),
        **_pace(found, paced),
        **_returns(world),
    }


def _compiled(world: Box, campaigns: int) -> None:
    tail = Tail(str(world.settings.kafka.bootstrap), [world.settings.topic("contents")])
    found: list[object] = []

    def all_there() -> bool:
        found.extend(tail.look())
        return len(found) >= campaigns

    until(all_there, lambda: f"{len(found)} of {campaigns} campaigns are compiled")
    tail.close()


def fair_share(capacity_s: float) -> float:
    """What the late tenant gets a second where all is shared fairly: it and the burst halve what the others leave."""
    return (capacity_s - TRANSACTIONAL_S - len(STEADY) * STEADY_S - PACE_S) / 2


def _meanwhile(world: Box, asked: Asked, arrivals: Arrivals, *, began: float, mails: int, late: int) -> float:
    """Ask for all else while the burst lasts; when the late tenant did."""
    late_at = 0.0
    limit_s = LIMIT_S + 3 * mails / (world.settings.kafka.slots * PER_IP_S)
    while len(arrivals.of(BURST)) < mails:
        passed = time.time() - began
        assert passed < limit_s, f"{len(arrivals.of(BURST))} of {mails} after {limit_s:.0f} s\n{world.trouble()}"
        for tenant in STEADY:
            due = int(passed * STEADY_S) - asked.counts.get(tenant, 0)
            if due > 0:
                world.recipients(f"{tenant}:all", asked.people(tenant, due))
        _transactional(world, asked, int(passed * TRANSACTIONAL_S) - asked.counts.get(TRANSACTIONAL, 0))
        if not late_at and passed >= LATE_AFTER_S:
            late_at = time.time()
            world.recipients(f"{LATE}:all", asked.people(LATE, late))
        time.sleep(_STEP_S)
    return late_at


def _transactional(world: Box, asked: Asked, due: int) -> None:
    records: list[tuple[str | None, Mapping[str, Any]]] = []
    for person, address in asked.people(TRANSACTIONAL, max(0, due)):
        event = {
            "tenant": TRANSACTIONAL,
            "campaign_id": "all",
            "recipient_id": person,
            "dedup_key": person,
            "to": {"channel": "mail", "address": address},
            "variables": {"name": person},
        }
        records.append((f"{TRANSACTIONAL}:{person}", event))
        asked.at[address] = time.time()
    if records:
        world.produce("recipients.transactional", records)


def _used(found: Sequence[Arrival], slots: int, *, begin: float, end: float) -> float:
    """The part of the pool's capacity that was used amid the burst."""
    return round(between(times(found), begin, end) / (end - begin) / (slots * PER_IP_S), 3) if end > begin else 0.0


def _curve(found: Sequence[Arrival]) -> dict[str, Any]:
    by_ip = {peer: busiest(times(found, lambda one: one.peer == peer), 60) for peer in {one.peer for one in found}}  # noqa: B023  # used at once
    limit = CURVE * 60 * PER_IP_S
    assert max(by_ip.values()) <= limit, by_ip
    return {"busiest_minute_by_ip": dict(sorted(by_ip.items())), "busiest_minute_limit": limit}


def _late(found: Sequence[Arrival], late: int, asked_at: float, fair_s: float) -> dict[str, Any]:
    own = times(found, lambda one: one.tenant == LATE)
    assert len(own) == late
    took = own[-1] - asked_at
    assert took <= FAIR_TIME * fair_s, f"{took:.1f} s, at fair share {fair_s:.1f} s"
    return {"late_s": round(took, 1), "late_at_fair_share_s": round(fair_s, 1), "late_limit": FAIR_TIME}


def _latency(found: Sequence[Arrival], asked: Asked, began: float) -> dict[str, Any]:
    waits = sorted(
        (one.at - asked.at[one.rcpt_to], asked.at[one.rcpt_to]) for one in found if one.tenant == TRANSACTIONAL
    )
    assert len(waits) == asked.counts[TRANSACTIONAL]
    p99 = _percentile([wait for wait, _ in waits], 0.99)
    by_minute: dict[int, list[float]] = {}
    for wait, at in waits:
        by_minute.setdefault(int((at - began) // 60), []).append(wait)
    figures = {
        "transactional_p50_s": round(_percentile([wait for wait, _ in waits], 0.5), 3),
        "transactional_p99_s": round(p99, 3),
        "transactional_p99_by_minute_s": {at: round(_percentile(each, 0.99), 2) for at, each in by_minute.items()},
    }
    assert p99 <= P99_S, figures
    return figures


def _percentile(ascending: Sequence[float], part: float) -> float:
    return ascending[min(len(ascending) - 1, int(part * len(ascending)))]


def _pace(found: Sequence[Arrival], paced: int) -> dict[str, Any]:
    own = times(found, lambda one: one.tenant == PACED)
    counts = list(minutes(own, own[0], own[int(PACE_UNTIL * paced) - 1]))
    assert counts, "the paced campaign lasted no minute"
    off = max(abs(count / (60 * PACE_S) - 1) for count in counts)
    assert off <= PACE_WITHIN, counts
    return {"pace_by_minute": counts, "pace_asked": 60 * PACE_S, "pace_off": round(off, 4)}


def _returns(world: Box) -> dict[str, Any]:
    """Sends that came back to the dealer, against all that were dealt."""
    names = ("returns", "sends.marketing", "sends.transactional")
    tail = Tail(str(world.settings.kafka.bootstrap), [world.settings.topic(name) for name in names])
    returned = sends = 0
    try:
        for message in tail.look():
            if message.topic() == world.settings.topic("returns"):
                returned += b'"kind":"give_back"' not in (message.value() or b"")
            else:
                sends += 1
    finally:
        tail.close()
    assert returned <= RETURNS * sends, f"{returned} of {sends}"
    return {"returns": returned, "sends": sends}
