"""Roles and broker that end in the middle of mail: by SIGTERM, or by SIGKILL.

Waves: a part of the recipients is produced, some of it is seen at the receivers, one member ends, the next wave comes
at once.  So each end meets mail in every stage.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tests.support.e2e import SLOTS, Box, until

# In the order of the waves.
GRACEFUL: Final = ("sender-0", "gate-0", "warehouse-0", "feedback-0", "control-0", "kafka")
KILLED: Final = ("gate-0", "sender-0", "warehouse-0")
# One in so many is greylisted at first, so that returns are under way too.
GREYLISTED: Final = 10


def address(number: int, domain: str) -> str:
    """Every tenth is greylisted at its first try."""
    return f"{'greylist-' if number % GREYLISTED == 0 else 'u'}{number}@{domain}"


def ended_in_order(world: Box, *, recipients: int) -> dict[str, Any]:
    """SIGTERM and start again: nothing lost, nothing twice, not even at the receivers."""
    campaign = "tidy:all"
    addresses = _waves(world, campaign, recipients, GRACEFUL, world.fleet.restart)
    balance = world.balanced(campaign, events=recipients)
    assert balance.types == {"accepted": recipients}
    assert world.accepted(domain="tidy.example") == dict.fromkeys(addresses, 1)
    return {"recipients": recipients, "outcomes": dict(balance.types), "ended": list(GRACEFUL)}


def killed(world: Box, *, recipients: int, kills: int = 1) -> dict[str, Any]:
    """SIGKILL of each, so many times: nothing lost; twice at the receivers only what was on an open connection."""
    campaign = "rude:all"
    ended = KILLED * kills

    def kill(name: str) -> None:
        before = world.fleet.pids[name]
        world.fleet.kill(name)
        until(lambda: world.fleet.pids.get(name, before) != before, f"another {name}")

    addresses = _waves(world, campaign, recipients, ended, kill)
    balance = world.balanced(campaign, events=recipients)
    assert balance.types == {"accepted": recipients}
    accepted = world.accepted(domain="rude.example")
    assert accepted.keys() == set(addresses)
    twice = Counter(accepted) - Counter(addresses)
    bound = SLOTS * world.settings.smtp.connections_per_slot * ended.count("sender-0")
    assert twice.total() <= bound
    ids = Counter(entry.message_id for entry in world.taken(domain="rude.example") if entry.accepted)
    assert len(ids) == recipients, "a mail that goes twice keeps its Message-ID"
    return {
        "recipients": recipients,
        "outcomes": dict(balance.types),
        "killed": dict(Counter(ended)),
        "duplicates_at_receivers": twice.total(),
        "duplicates_bound": bound,
    }


def _waves(world: Box, campaign: str, recipients: int, names: tuple[str, ...], end: Callable[[str], None]) -> list[str]:
    tenant = campaign.partition(":")[0]
    domain = f"{tenant}.example"
    world.tenant(tenant)
    world.campaign(campaign)
    people = [(f"u{n}", address(n, domain)) for n in range(recipients)]
    size = -(-recipients // (len(names) + 1))

    def arrive(beyond: int) -> bool:
        return len(world.taken(domain=domain)) > beyond

    for number, name in enumerate(names):
        seen = len(world.taken(domain=domain))
        world.recipients(campaign, people[number * size : (number + 1) * size])
        # Mail of this wave arrives, most of it does not yet.
        until(partial(arrive, seen), f"mail of wave {number}")
        end(name)
    world.recipients(campaign, people[len(names) * size :])
    world.fleet.wait_ready(240)
    return [one for _, one in people]


def broker_hangs(world: Box, *, recipients: int, seconds: float) -> dict[str, Any]:
    """The broker stops answering for longer than a session lasts: all members are put out of their groups at once."""
    campaign = "hung:all"
    domain = "hung.example"
    world.tenant("hung")
    world.campaign(campaign)
    people = [(f"u{n}", address(n, domain)) for n in range(recipients)]
    world.recipients(campaign, people)
    until(lambda: world.taken(domain=domain), "the first mail")
    broker = world.fleet.pids["kafka"]
    back_at = time.monotonic() + seconds
    os.kill(broker, signal.SIGSTOP)
    try:
        until(lambda: time.monotonic() > back_at, "the end of the fault")
    finally:
        os.kill(broker, signal.SIGCONT)
    balance = world.balanced(campaign, events=recipients)
    assert balance.types == {"accepted": recipients}
    accepted = world.accepted(domain=domain)
    assert accepted == dict.fromkeys((one for _, one in people), 1)
    return {"recipients": recipients, "outcomes": dict(balance.types), "seconds": seconds}
