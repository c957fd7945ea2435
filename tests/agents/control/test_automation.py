"""The automation duty on a real broker: what it tells and sets, once, whoever has taken over when."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.control.automation import Automation
from agents.control.word import Word
from agents.views import replicate
from schemas import ids, topics
from schemas.events import Control, Demand, Incident, Volume
from streams.control.errors import RuleFault
from streams.control.volumes import volume_key
from streams.runtime.cluster import Publisher
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import ControlSettings, Settings
from streams.views import World
from tests.control.builders import delivery, volume
from tests.runtime.builders import LIMIT_S, deployed, read

pytestmark = pytest.mark.integration

VIEWS = (topics.CONTROLS, topics.CAMPAIGNS, topics.DEMANDS)
RULES = """
[volumes]
span = "1m"
grace = "1m"
[rule.blocked-ip]
for = "{lasts}"
"""
BLOCK: dict[str, Any] = {
    "type": "bounced",
    "class_": "policy",
    "smtp_code": 550,
    "reply": "blocked using zen.spamhaus.org: taro@gmail.com",
}


def settings_of(bootstrap: str, prefix: str, data_dir: Path, *, lasts: str = "1h") -> Settings:
    """A deployment whose spans are minutes."""
    settings = deployed(bootstrap, prefix, data_dir)
    data_dir.mkdir(exist_ok=True)
    rules = data_dir / "automation.toml"
    rules.write_text(RULES.format(lasts=lasts))
    return settings.model_copy(update={"control": ControlSettings(automation=rules)})


class Owner:
    """One that is active: its duty, and the world that it sees."""

    def __init__(self, duty: Automation, world: World) -> None:
        self.duty = duty
        self.world = world

    async def turns_until(self, fact: Callable[[], Any], what: str) -> None:
        """Take turns until something holds."""
        deadline = asyncio.get_running_loop().time() + LIMIT_S
        while not fact():
            assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {LIMIT_S:.0f} s"
            await self.duty.turn(datetime.now(UTC))


@contextlib.asynccontextmanager
async def owner(settings: Settings, member: str) -> AsyncIterator[Owner]:
    """A control worker's automation, until it ends as by a kill: nothing is said on the way out."""
    world, replication = await asyncio.to_thread(replicate, settings, member, VIEWS)
    producer = RecordProducer(settings.kafka, client_id=member)
    duty = Automation(settings, world, Word(settings, producer), member=member)
    try:
        yield Owner(duty, world)
    finally:
        await duty.stand_by()
        replication.close()
        await asyncio.to_thread(producer.close)


def deliver(settings: Settings, count: int, *, ago_s: float = 0, **fields: Any) -> None:
    """So many deliveries, a millisecond apart."""
    began = datetime.now(UTC) - timedelta(seconds=ago_s)
    with Publisher(settings) as publisher:
        for number in range(count):
            at = began + timedelta(milliseconds=number)
            publisher.send(topics.DELIVERIES, f"send-{number}", delivery(at=at, **fields))


def incidents(settings: Settings) -> list[Incident]:
    """All that was told."""
    found = read(settings, "incidents", isolation="read_uncommitted")
    return [msgspec.json.decode(message.value() or b"", type=Incident) for message in found]


def controls(settings: Settings) -> dict[str, Control | None]:
    """What stands under each key; None: a tombstone."""
    return {
        (message.key() or b"").decode(): message.value() and msgspec.json.decode(message.value() or b"", type=Control)
        for message in read(settings, "controls", isolation="read_uncommitted")
    }


def volumes(settings: Settings) -> dict[str, Volume]:
    """The latest word on each span."""
    return {
        (message.key() or b"").decode(): msgspec.json.decode(message.value() or b"", type=Volume)
        for message in read(settings, "volumes", isolation="read_uncommitted")
        if message.value()
    }


async def test_a_blocked_ip_is_told_once_though_its_owner_changes(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Incident and control stand after three blocks; the next owner reads them again and tells nothing."""
    settings = settings_of(kafka_bootstrap, topic_prefix, tmp_path / "data")
    deliver(settings, 20)
    deliver(settings, 4, **BLOCK)
    async with owner(settings, "control-a") as first:
        await first.turns_until(lambda: first.world.controls, "a control")
    (incident,) = incidents(settings)
    assert (incident.rule, incident.key, incident.action) == ("blocked-ip", "3/gmail", "deal_elsewhere")
    assert "taro" not in " ".join(incident.evidence)
    stands = controls(settings)["slot/3/gmail@blocked-ip"]
    assert stands is not None
    assert stands.until == incident.until
    async with owner(settings, "control-b") as second:
        deliver(settings, 4, **BLOCK)
        await second.turns_until(lambda: counted(settings) == 28, "all 28 counted")
    assert len(incidents(settings)) == 1


def counted(settings: Settings) -> int:
    """Attempts of slot 3 in all spans published."""
    return sum(one.attempts for key, one in volumes(settings).items() if key.startswith("slot/3/20"))


async def test_figures_are_whole_after_an_owner_ends_in_the_midst_of_a_span(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The successor counts the open spans again: none is missing, none counts twice; tenants and providers too."""
    settings = settings_of(kafka_bootstrap, topic_prefix, tmp_path / "data")
    for member in ("control-a", "control-b", "control-c"):
        before = counted(settings)
        deliver(settings, 50)
        deliver(settings, 5, ago_s=20, type="bounced", class_="user_unknown")
        async with owner(settings, member) as one:
            await one.turns_until(lambda: counted(settings) >= before + 55, "55 more")  # noqa: B023  # within its turn
    found = volumes(settings)
    for scope in ("slot/3/20", "tenant/acme/20", "provider/gmail/20", "slot/provider/3/gmail/20"):
        of = [one for key, one in found.items() if key.startswith(scope)]
        assert sum(one.attempts for one in of) == 165, scope
        assert sum(one.dead for one in of) == 15, scope


async def test_an_incident_lost_between_control_and_incident_is_told_by_the_next_owner(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The control stands, the incident was never written: made from the control, once."""
    settings = settings_of(kafka_bootstrap, topic_prefix, tmp_path / "data")
    now = datetime.now(UTC)
    control = Control(
        target="slot",
        key="3",
        provider="gmail",
        state="suspended",
        by="automation:blocked-ip",
        reason="blocked-ip: 3 in 2 s",
        at=now,
        until=now + timedelta(hours=1),
    )
    with Publisher(settings) as publisher:
        publisher.send(topics.CONTROLS, ids.control_key(control), control)
    for member in ("control-a", "control-b"):
        async with owner(settings, member) as one:
            await one.turns_until(lambda: incidents(settings), "the incident")
            await one.duty.turn(datetime.now(UTC))
    (incident,) = incidents(settings)
    assert (incident.rule, incident.key, incident.at) == ("blocked-ip", "3/gmail", now)


async def test_a_control_ends_by_itself_and_an_operators_stays(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A second after its time it is a tombstone; the operator's word on the same IP is as it was."""
    settings = settings_of(kafka_bootstrap, topic_prefix, tmp_path / "data", lasts="2s")
    now = datetime.now(UTC)
    theirs = Control(target="slot", key="3", provider="gmail", state="suspended", by="taro", reason="mine", at=now)
    with Publisher(settings) as publisher:
        publisher.send(topics.CONTROLS, "slot/3/gmail", theirs)
    async with owner(settings, "control-a") as one:
        await one.duty.turn(datetime.now(UTC))
        deliver(settings, 3, **BLOCK)
        key = "slot/3/gmail@blocked-ip"
        await one.turns_until(lambda: key in one.world.controls, "the control")
        await one.turns_until(lambda: key not in one.world.controls, "its end")
    assert controls(settings) == {"slot/3/gmail": theirs, key: None}


async def test_a_tenant_with_a_bad_list_is_paused_and_a_burst_is_seen_coming(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """60 dead addresses of 1,060 mails blow the fuse; what waits at a gate is held against the last days' minutes."""
    settings = settings_of(kafka_bootstrap, topic_prefix, tmp_path / "data")
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    with Publisher(settings) as publisher:
        for days in range(1, 9):
            for minutes in range(3):  # the test may see the next one begin
                begins_at = minute + timedelta(minutes=minutes) - timedelta(days=days)
                went = msgspec.structs.replace(volume("tenant", "acme", begins_at, attempts=2_000), span_s=60)
                publisher.send(topics.VOLUMES, volume_key(went), went)
        demand = Demand(gate_partition=0, at=datetime.now(UTC) + timedelta(seconds=9), tenants={"acme": 50_000})
        publisher.send(topics.DEMANDS, "0", demand)
    deliver(settings, 1_000)
    deliver(settings, 60, type="bounced", class_="user_unknown")
    async with owner(settings, "control-a") as one:
        await one.turns_until(lambda: len(incidents(settings)) >= 2, "two incidents")
        await one.turns_until(lambda: one.world.controls, "the pause")
    told = {incident.rule: incident for incident in incidents(settings)}
    assert set(told) == {"tenant-bounces", "surge-coming"}
    assert told["tenant-bounces"].value == "5.66% (60 dead addresses of 1,060)"
    assert told["surge-coming"].coming
    assert told["surge-coming"].value.endswith("50,000 wait")
    assert "of the same span on 7 days" in told["surge-coming"].limit
    (key,) = controls(settings)
    assert key == "tenant/acme@tenant-bounces"


async def test_a_file_of_rules_that_cant_be_meant_keeps_it_from_starting(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """CONTROL does not start with a mistake, and names it."""
    settings = settings_of(kafka_bootstrap, topic_prefix, tmp_path / "data", lasts="an hour")
    with pytest.raises(RuleFault, match=r"\[rule.blocked-ip\] for = 'an hour': must be a time"):
        async with owner(settings, "control-a"):
            pass
