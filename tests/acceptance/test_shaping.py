"""What mailbox providers see, at full size: dilution, bursts, blocks, and how soon an operator's word counts."""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.results import recorded
from tests.e2e import blocking, burst, dilution, draining, halting, throttle
from tests.support.e2e import Box, box

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]

# Rules that would rightly act on what these tests do on purpose.
NO_AUTOMATION: Final = "[fuse]\nenabled = false\n"


def test_dilution(tmp_path: Path) -> None:
    """A tenant with 30 % bad addresses at 2 % of the volume: each of 16 IPs bounces as the pool does."""
    with box(tmp_path / "data", slots=16, automation=NO_AUTOMATION) as world:
        world.egress()
        recorded("dilution", partial(dilution.diluted, world, mails=30_000))


def test_a_burst_beside_a_steady_pool(tmp_path: Path) -> None:
    """200,000 at once, of which the provider takes 75 a second from each of four IPs: eleven minutes of it."""
    with box(tmp_path / "data", shaping=burst.SHAPING, automation=NO_AUTOMATION) as world:
        world.egress()
        recorded("burst", partial(burst.burst, world, mails=200_000, paced=6_000, late=1_000))


def test_an_ip_that_a_provider_blocks(tmp_path: Path) -> None:
    """The others carry its mail; the other provider sees no difference."""
    with box(tmp_path / "data", simulated=blocking.SIMULATED) as world:
        world.egress()
        recorded("blocked-ip", partial(blocking.blocked, world, mails=3_000))


def test_an_ip_that_is_drained_and_taken_back(tmp_path: Path) -> None:
    """With mail in it: nothing more leaves from it, the others carry what waited there; then it has its part again."""
    with box(tmp_path / "data") as world:
        world.egress()
        recorded("draining", partial(_drained_and_back, world))


def _drained_and_back(world: Box) -> dict[str, Any]:
    drained = draining.drained(world, recipients=600)
    world.evenpost("egress", "resume", draining.host(draining.DRAINED))
    return {"drained": drained, "taken_back": draining.taken_back(world, recipients=900)}


def test_pause_cancel_and_pace_with_a_hundred_thousand_waiting(tmp_path: Path) -> None:
    """Ten seconds, ten seconds, a minute, on the receiver's log."""
    with box(tmp_path / "data") as world:
        world.egress()
        recorded("halting", partial(halting.halted, world, waiting=100_000))


def test_throttle(tmp_path: Path) -> None:
    """A limit that nobody tells, drawn at random: each of two IPs holds 85 to 100 % of it from minute 3 to 10."""
    seed = secrets.randbelow(1_000_000)
    with box(tmp_path / "data", slots=2, automation=NO_AUTOMATION, simulated=throttle.options(seed)) as world:
        world.egress()
        recorded("throttle", partial(throttle.held, world, seconds=600))
