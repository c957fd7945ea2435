"""A whole deployment by its clock: mail that waits for its recipients' morning, and a burst that is seen coming."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from streams.control.volumes import volume_key
from tests.control.builders import volume
from tests.e2e.receiver_log import Arrivals, times
from tests.support.e2e import Box, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

# Where it is an hour later than in UTC, summer and winter.
EAST: Final = "Etc/GMT-1"
# Seconds that a gate is given to have read what it is asked, before the window opens.
AHEAD_S: Final = 10
HOUR: Final = timedelta(hours=1)


def test_mail_waits_for_its_window_and_a_burst_is_told_before_it_goes_out(world: Box) -> None:
    """Who is in the window gets it at once, the others when it opens, with `drop` never; meanwhile a tenant bursts."""
    world.tenant("windowed")
    opens = (datetime.now(UTC) + timedelta(seconds=AHEAD_S + 60)).replace(second=0, microsecond=0)
    window = {"opens": f"{opens:%H:%M}", "closes": f"{opens + 12 * HOUR:%H:%M}"}
    later = world.campaign("windowed:later", window=window)
    drop = world.campaign("windowed:drop", window=window | {"outside": "drop"})
    for campaign, name in ((later, "later"), (drop, "drop")):
        for zone, count in (("Etc/UTC", 20), (EAST, 10)):
            people = [(f"{name}{count}-{n}", f"{name}{count}-{n}@windowed.example") for n in range(count)]
            world.recipients(campaign, people, timezone=zone)
    balance = world.balanced(drop, events=30)
    assert balance.types == {"accepted": 10, "expired": 20}
    arrivals = Arrivals(world.simulator_log)
    until(lambda: len(arrivals.of("windowed")) >= 20, "those who are in the window")
    assert datetime.now(UTC) < opens, "the machine was too slow to see it"
    assert {one.rcpt_to.partition("-")[0] for one in arrivals.of("windowed")} == {"later10", "drop10"}

    burst_is_told(world)

    assert world.balanced(later, events=30).types == {"accepted": 30}
    came = times(arrivals.of("windowed"), lambda one: one.rcpt_to.startswith("later20"))
    assert len(came) == 20
    assert came[0] >= opens.timestamp()
    assert came[-1] < opens.timestamp() + AHEAD_S


def burst_is_told(world: Box) -> None:
    """What the gates hold back of a tenant that has 10 mails an hour: an incident while most of it still waits."""
    world.tenant("bursting")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    history = [
        volume("tenant", "bursting", hour + hours * HOUR - days * 24 * HOUR, attempts=10)
        for days in range(1, 9)
        for hours in range(2)  # the test may see the next one begin
    ]
    world.produce("volumes", ((volume_key(one), msgspec.json.encode(one)) for one in history))
    world.fleet.restart("control-0")  # who becomes active reads what its predecessors counted
    campaign = world.campaign("bursting:all", pace_per_s=10)
    world.recipients(campaign, [(f"u{n}", f"u{n}@bursting.example") for n in range(1_300)])

    def told() -> dict[str, Any] | None:
        found = json.loads(world.evenpost("incidents", "--rule", "surge-coming", "--json"))
        return next((one for one in found if one["key"] == "bursting"), None)

    until(told, "the incident", limit_s=60)
    assert len(Arrivals(world.simulator_log).of("bursting")) < 500
    world.evenpost("campaign", "cancel", campaign, "--yes")
    assert set(world.balanced(campaign, events=1_300).types) == {"accepted", "cancelled"}
