"""Providers that block sending IPs: what the receiver sees of it, by its own log, and what CONTROL tells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from streams.runtime.state.replication import FRESH_S
from tests.e2e.receiver_log import Arrival, Arrivals
from tests.support.e2e import FIRST_HOST, SLOTS, Box, until

# One provider blocks the IP of slot 1, one blocks all, one blocks none.
BLOCKED_SLOT: Final = 1
ONE: Final = "gmail.example"
ALL: Final = "icloud.example"
NONE: Final = "docomo.example"
PROVIDERS: Final = {ONE: "gmail", ALL: "icloud", NONE: "docomo"}
# Mails a second, half to each of two: an IP of four has three a second for the provider that blocks it.
PACE: Final = 24.0
# From the control to the last mail that goes the old way: a sender acts by views that are FRESH_S old at most, and what
# it begins by then is at the receiver within two more, also beside other tests.
SETTLES_S: Final = FRESH_S + 2.0


def ip(slot: int) -> str:
    """The address that a slot sends from."""
    return f"127.0.0.{FIRST_HOST + slot}"


def blocks() -> list[str]:
    """The simulator's options."""
    pairs = [f"{ONE}={ip(BLOCKED_SLOT)}", *(f"{ALL}={ip(slot)}" for slot in range(SLOTS))]
    return [word for pair in pairs for word in ("--block", pair)]


def incidents(world: Box, provider: str) -> list[dict[str, Any]]:
    """What was told of a provider's blocks, newest first."""
    found = json.loads(world.evenpost("incidents", "--rule", "blocked-ip", "--json"))
    return [one for one in found if one["key"].endswith(f"/{provider}")]


def one_ip_blocked(world: Box, *, mails: int) -> dict[str, Any]:
    """Its mail goes over the other IPs within seconds, what it has for others goes on, and nobody else is harmed."""
    campaign = _sent(world, "moved", ONE, mails)
    until(lambda: incidents(world, "gmail"), "an incident")
    balance = world.balanced(campaign, events=mails)
    (told,) = incidents(world, "gmail")
    assert (told["key"], told["action"], told["stands"]) == (f"{BLOCKED_SLOT}/gmail", "deal_elsewhere", True)
    assert "450 4.7.1 client host is on our block list" in told["evidence"][-1]
    assert "@" not in "".join(told["evidence"])
    assert balance.types == {"accepted": mails}
    arrivals = Arrivals(world.simulator_log).of_all("moved")
    refused = [one for one in arrivals if not one.accepted]
    assert {(one.peer, one.outcome) for one in refused} == {(ip(BLOCKED_SLOT), "block")}
    acted = _at(told)
    late = [one.at - acted for one in refused if one.at > acted + SETTLES_S]
    assert not late, late
    after = [one for one in arrivals if one.at > acted + SETTLES_S]
    moved = Counter(one.peer for one in _to(after, ONE))
    assert set(moved) == {ip(slot) for slot in range(SLOTS) if slot != BLOCKED_SLOT}
    assert max(moved.values()) - min(moved.values()) <= mails // 15, moved  # their own parts, and what came back
    others = Counter(one.peer for one in _to(after, NONE))
    assert others[ip(BLOCKED_SLOT)] >= 0.7 * others.total() / SLOTS, others
    last_s = max((one.at - acted for one in refused), default=0.0)
    return {"mails": mails, "refused": len(refused), "last_refused_after_s": round(last_s, 2)}


def all_ips_blocked(world: Box, *, mails: int, lives_s: float) -> dict[str, Any]:
    """What the provider was to get waits until its time is over, untried; what goes elsewhere goes as before."""
    ends = datetime.now(UTC) + timedelta(seconds=lives_s)
    campaign = _sent(world, "waits", ALL, mails, expire_at=ends.isoformat())
    until(lambda: len(incidents(world, "icloud")) == SLOTS, lambda: f"{incidents(world, 'icloud')} of {SLOTS}")
    acted = max(map(_at, incidents(world, "icloud")))
    assert acted < ends.timestamp() - SETTLES_S, "the mail's time was over before all was blocked: give it longer"
    balance = world.balanced(campaign, events=mails)
    assert balance.types == {"accepted": mails // 2, "expired": mails // 2}
    arrivals = Arrivals(world.simulator_log).of_all("waits")
    tried = _to(arrivals, ALL)
    assert not [one for one in tried if one.accepted or one.at > acted + SETTLES_S]
    assert len(incidents(world, "icloud")) == SLOTS
    return {"mails": mails, "tried": len(tried), "waited_s": round(ends.timestamp() - acted, 1)}


def _sent(world: Box, tenant: str, domain: str, mails: int, **fields: Any) -> str:
    """Half of a paced campaign's mail to the domain, half to the one that blocks nobody."""
    world.tenant(tenant)
    campaign = world.campaign(f"{tenant}:all", pace_per_s=PACE, **fields)
    people = [(f"u{number}", f"u{number}@{(domain, NONE)[number % 2]}") for number in range(mails)]
    world.recipients(campaign, people)
    return campaign


def _to(arrivals: Iterable[Arrival], domain: str) -> list[Arrival]:
    return [one for one in arrivals if one.rcpt_to.endswith(f"@{domain}")]


def _at(incident: dict[str, Any]) -> float:
    return datetime.fromisoformat(incident["at"]).timestamp()
