"""What must not happen twice: files loaded again, mail above a cap, mail to those who unsubscribed meanwhile.

Each scenario takes its size and gives back what it counted; tests/acceptance runs the same at full size.
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.support.audit import Tail
from tests.support.e2e import Box, until

CAP: Final = 3
CAMPAIGNS: Final = 5
# A pace at which a campaign's silence of QUIET is no chance: 90 mails would have come.
PACE_PER_S: Final = 30.0
QUIET: Final = timedelta(seconds=3)


def file_loaded_twice(world: Box, *, recipients: int) -> dict[str, Any]:
    """`evenpost recipients load` of one file, twice: the second is all `duplicate`, nobody gets a second mail."""
    world.tenant("twice")
    campaign = world.campaign("twice:autumn")
    file = world.settings.data_dir / "twice.csv"
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(("id", "email", "name"))
        writer.writerows((f"u{n}", f"u{n}@twice.example", f"花子{n}") for n in range(recipients))
    for _ in range(2):
        world.evenpost("recipients", "load", campaign, file)
    balance = world.balanced(campaign, events=2 * recipients)
    assert balance.types == {"accepted": recipients, "duplicate": recipients}
    assert set(map(tuple, balance.of_recipients().values())) == {("accepted", "duplicate")}
    assert world.accepted(domain="twice.example") == {f"u{n}@twice.example": 1 for n in range(recipients)}
    return {"recipients": recipients, "outcomes": dict(balance.types)}


def cap_under_five_campaigns(world: Box, *, people: int) -> dict[str, Any]:
    """Five campaigns at once to the same people, 3 per 7 days: each gets exactly 3, whichever they are."""
    world.tenant("capped", caps=[{"class": "marketing", "max": CAP, "per": "7d"}])
    campaigns = [world.campaign(f"capped:c{n}", cap_class="marketing") for n in range(CAMPAIGNS)]
    addresses = [(f"u{n}", f"u{n}@capped.example") for n in range(people)]
    for start in range(0, people, 50):  # in turns, so that all five are under way together
        for campaign in campaigns:
            world.recipients(campaign, addresses[start : start + 50])
    balance = world.balanced(*campaigns, events=CAMPAIGNS * people)
    expected = tuple(sorted(["accepted"] * CAP + ["capped"] * (CAMPAIGNS - CAP)))
    assert Counter(map(tuple, balance.of_recipients().values())) == {expected: people}
    assert world.accepted(domain="capped.example") == {address: CAP for _, address in addresses}
    capped = [one for many in balance.finals.values() for one in many if one["type"] == "capped"]
    rules = [rule for one in capped for rule in one["rules"]]
    assert {(rule["rule"], rule["value"], rule["limit"]) for rule in rules} == {("capped", "3", "3 marketing per 7d")}
    assert all(rule["next_eligible"] for rule in rules)
    return {"people": people, "outcomes": dict(balance.types)}


def suppressed_while_waiting(world: Box, *, recipients: int) -> dict[str, Any]:
    """A tenth unsubscribes while all wait behind a pause: after the resume not one of them gets mail."""
    world.tenant("held")
    # Paused by upstream too, which is known with the campaign itself: an operator's pause takes a moment to be read.
    campaign = world.campaign("held:late", state="paused")
    world.evenpost("campaign", "pause", campaign, "--reason", "wrong price")
    addresses = [(f"u{n}", f"u{n}@held.example") for n in range(recipients)]
    world.recipients(campaign, addresses)
    # What a paused campaign's mail says is `waiting`, once each; none of it is final.
    until(
        lambda: world.balance(campaign) is not None and len(world.audit.event_ids[campaign]) >= recipients,
        lambda: f"{len(world.audit.event_ids[campaign])} of {recipients} wait",
    )
    left = {address for _, address in addresses[::10]}
    before = _entries(world)
    world.suppress("held", sorted(left))
    until(lambda: _entries(world) - before >= len(left), "the entries of the suppression list")
    assert not world.taken(domain="held.example")
    world.campaign(campaign)
    world.evenpost("campaign", "resume", campaign)
    balance = world.balanced(campaign, events=recipients)
    assert balance.types == {"accepted": recipients - len(left), "suppressed": len(left)}
    accepted = world.accepted(domain="held.example")
    assert not left & accepted.keys()
    assert accepted == {address: 1 for _, address in addresses if address not in left}
    return {"recipients": recipients, "outcomes": dict(balance.types)}


def paused_then_cancelled(world: Box, *, recipients: int) -> dict[str, Any]:
    """A pause stops a paced campaign in the middle, a cancel ends what is left, and both add up."""
    world.tenant("halted")
    campaign = world.campaign("halted:paced", pace_per_s=PACE_PER_S)
    world.recipients(campaign, [(f"u{n}", f"u{n}@halted.example") for n in range(recipients)])
    until(lambda: len(world.taken(domain="halted.example")) > PACE_PER_S, "the first mails")
    world.evenpost("campaign", "pause", campaign)
    until(lambda: datetime.now(UTC) - world.taken(domain="halted.example")[-1].at > QUIET, "silence after the pause")
    held = len(world.taken(domain="halted.example"))
    assert held < recipients
    world.evenpost("campaign", "cancel", campaign, "--yes")
    balance = world.balanced(campaign, events=recipients)
    assert balance.types == {"accepted": held, "cancelled": recipients - held}
    assert world.accepted(domain="halted.example").total() == held
    return {"recipients": recipients, "outcomes": dict(balance.types)}


def _entries(world: Box) -> int:
    tail = Tail(str(world.settings.kafka.bootstrap), [world.settings.topic("suppressions")])
    try:
        return sum(1 for _ in itertools.islice(tail.look(), 1_000_000))
    finally:
        tail.close()
