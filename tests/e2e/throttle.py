"""A provider that throttles above a limit which it tells nobody: each sending IP has to find it, and to stay below it.

Measured on the receiver's log alone, IP by IP: what it took of its limit, and how much it had to refuse.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any, Final

from tests.e2e.receiver_log import Arrival, Arrivals
from tests.support.e2e import Box, until

DOMAIN: Final = "docomo.ne.jp"  # answered by the simulator's DNS: loopback alone
# Messages a second for each IP: drawn between them, by each run's own seed.
LOWEST: Final = 4
HIGHEST: Final = 20
# The promise, from the third minute on.
HELD: Final = (0.85, 1.0)
THROTTLED: Final = 0.01
FOUND_S: Final = 180.0
# What its bucket gives at once beside its rate, in seconds of it: within minutes, that is no part of the rate.
BURST_S: Final = 1.0
# More is asked for than can go, so that the limit alone says how much does.
SPARE: Final = 1.2


def options(seed: int) -> tuple[str, ...]:
    """The simulator's."""
    return ("--pace", f"{DOMAIN}={LOWEST}..{HIGHEST}", "--seed", str(seed))


def held(world: Box, *, seconds: float) -> dict[str, Any]:
    """For so long: each IP at 85 to 100 % of the hidden limit from the third minute on, less than 1 % throttled."""
    told = json.loads((world.simulator_log.parent / "simulator.json").read_bytes())
    limit, slots = told["paces"][DOMAIN], world.settings.kafka.slots
    world.tenant("acme")
    world.campaign("acme:autumn")
    arrivals = Arrivals(world.simulator_log)
    count = int(SPARE * slots * limit * seconds)
    world.recipients("acme:autumn", ((f"u{number}", f"u{number}@{DOMAIN}") for number in range(count)))
    until(arrivals.look, world.trouble)
    begin = arrivals.look()[0].at
    while time.time() < begin + seconds + 1:
        time.sleep(5)
    seen = [one for one in arrivals.look() if one.at < begin + seconds]
    late = [one for one in seen if one.at >= begin + FOUND_S]
    figures = {
        "hidden_limit_per_s": round(limit, 2),
        "seconds": seconds,
        "asked_for": count,
        "by_ip": {peer: _of_ip([one for one in late if one.peer == peer], limit, seconds) for peer in _peers(seen)},
        "before": {
            peer: {"throttled": sum(not one.accepted for one in seen if one.peer == peer and one.at < begin + FOUND_S)}
            for peer in _peers(seen)
        },
        "by_minute": {
            peer: [
                round(sum(one.accepted for one in seen if one.peer == peer and _minute(one, begin) == minute) / 60, 2)
                for minute in range(int(seconds // 60))
            ]
            for peer in _peers(seen)
        },
    }
    assert len(figures["by_ip"]) == slots, figures
    for of_ip in figures["by_ip"].values():
        assert HELD[0] <= of_ip["held"] <= HELD[1] + BURST_S / (seconds - FOUND_S), figures
        assert of_ip["throttled_share"] < THROTTLED, figures
    return figures


def _of_ip(late: list[Arrival], limit: float, seconds: float) -> dict[str, Any]:
    taken, refused = sum(one.accepted for one in late), sum(one.outcome == "pace" for one in late)
    return {
        "accepted": taken,
        "throttled": refused,
        "held": round(taken / (limit * (seconds - FOUND_S)), 4),
        "throttled_share": round(refused / max(1, taken + refused), 5),
    }


def _peers(seen: list[Arrival]) -> list[str]:
    return sorted(Counter(one.peer for one in seen))


def _minute(one: Arrival, begin: float) -> int:
    return int((one.at - begin) // 60)
