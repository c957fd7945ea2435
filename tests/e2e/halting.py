"""Pause, cancel and another pace while a whole campaign waits: how soon the receiver sees it.

Each bound is from the command's return to the receiver's log.  A pace counts as in force when ten seconds of mail are
within a tenth of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tests.e2e.receiver_log import Arrivals, between, times
from tests.support.e2e import Box, until

# Seconds, as promised.
HALTS_S: Final = 10.0
PACE_S: Final = 60.0
# Mails a second: the first pace, a faster and a slower one.
PACES: Final = (40.0, 90.0, 15.0)
_WINDOW_S: Final = 10.0
_WITHIN: Final = 0.1
# Longer than HALTS_S, so that silence after it is seen and not assumed.
_SILENCE_S: Final = 8.0


def halted(world: Box, *, waiting: int) -> dict[str, Any]:
    """Another pace within a minute, up and down; a pause and a cancel within ten seconds; all of it adds up."""
    tenant = "held"
    world.tenant(tenant)
    campaign = world.campaign(f"{tenant}:all", pace_per_s=PACES[0])
    world.recipients(campaign, [(f"u{number}", f"u{number}@{tenant}.example") for number in range(waiting)])
    said: Callable[[], int] = lambda: world.balance(campaign) and len(world.audit.event_ids[campaign])  # noqa: E731
    until(lambda: said() >= waiting * 0.99, lambda: f"{said()} of {waiting} wait", limit_s=600)
    arrivals = Arrivals(world.simulator_log)
    took: dict[str, float] = {}
    for pace in PACES[1:]:
        began = time.time()
        world.campaign(campaign, pace_per_s=pace)
        took[f"pace_{pace:g}_s"] = _in_force(arrivals, tenant, pace, began)
    took["pause_s"] = _halts(arrivals, tenant, lambda: world.evenpost("campaign", "pause", campaign))
    world.campaign(campaign, pace_per_s=PACES[1])
    world.evenpost("campaign", "resume", campaign)
    paused = len(arrivals.of(tenant))
    until(lambda: len(arrivals.of(tenant)) > paused + PACES[1], "mail after the resume")
    took["cancel_s"] = _halts(arrivals, tenant, lambda: world.evenpost("campaign", "cancel", campaign, "--yes"))
    balance = world.balanced(campaign, events=waiting)
    gone = len(arrivals.of(tenant))
    assert balance.types == {"accepted": gone, "cancelled": waiting - gone}
    return {
        "waiting": waiting,
        "paces_per_s": list(PACES),
        "outcomes": dict(balance.types),
        **{name: round(seconds, 1) for name, seconds in took.items()},
        "bounds_s": {"pause": HALTS_S, "cancel": HALTS_S, "pace": PACE_S},
    }


def _in_force(arrivals: Arrivals, tenant: str, pace: float, began: float) -> float:
    """Seconds until the last ten came at the pace."""
    found: list[float] = []

    def meets() -> bool:
        now = time.time() - 0.5  # what was accepted just now is in the log by then
        begin = max(began, now - _WINDOW_S)
        rate = between(times(arrivals.of(tenant)), begin, now) / _WINDOW_S
        found[:] = [rate]
        return now - began >= _WINDOW_S and abs(rate / pace - 1) <= _WITHIN

    until(meets, lambda: f"a pace of {pace:g} a second; the last ten seconds have {found}", limit_s=PACE_S + 5)
    seconds = time.time() - 0.5 - began
    assert seconds <= PACE_S + _WINDOW_S, seconds
    return max(0.0, seconds - _WINDOW_S)


def _halts(arrivals: Arrivals, tenant: str, command: Callable[[], object]) -> float:
    """Seconds from the command's return to the last mail."""
    command()
    said = time.time()
    until(lambda: time.time() - said > HALTS_S + _SILENCE_S, "the silence")
    at = times(arrivals.of(tenant))
    assert between(at, said - HALTS_S, said) > 0, "nothing was under way before the command"
    assert between(at, said + HALTS_S, said + HALTS_S + _SILENCE_S) == 0
    return max(0.0, at[-1] - said)
