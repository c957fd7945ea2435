"""IPs come and go by command, on a real broker; every no is one line."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas import topics
from schemas.events import Control, Egress, WarmupDay
from streams.runtime.cluster import Publisher, read_world
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.topic_admin import apply_topics
from streams.views import World
from tests.operate.cli.test_commands import done, refused, run

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)


@pytest.fixture
def settings(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A deployment of its own with four slots."""
    kafka = KafkaSettings(bootstrap=kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:8]}.", gate_partitions=2, slots=4)
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), kafka=kafka)
    apply_topics(settings)
    return settings


def world(settings: Settings) -> World:
    """What the topics say."""
    return read_world(settings, topics.EGRESS, topics.CONTROLS, topics.WARMUPS)


def add(settings: Settings, host: int, *options: str) -> Egress:
    """An IP added."""
    told = done(settings, "egress", "add", f"192.0.2.{host}", "--ehlo", f"m{host}.mail.example", *options, "--json")
    return msgspec.json.decode(told, type=Egress)


def test_an_ip_that_is_added_takes_the_first_spare_slot_and_warms_up(settings: Settings) -> None:
    """Unless it is known already; a slot in use is no spare one, and an IP has one slot."""
    first, second = add(settings, 7), add(settings, 8, "--warm", "--pool", "own")
    assert (first.slot, first.state, first.pool) == (0, "active", "shared")
    assert first.warmup is not None and (first.warmup.initial_per_day, first.warmup.factor) == (50, 1.5)
    assert (second.slot, second.pool, second.warmup) == (1, "own", None)
    done(settings, "egress", "set", "--slot", "2", "--address", "192.0.2.9", "--ehlo", "m.example", "--state", "spare")
    third = add(settings, 9, "--initial", "20", "--factor", "2")
    assert third.slot == 2 and third.warmup is not None and third.warmup.initial_per_day == 20
    one = ("egress", "add", "192.0.2.8", "--ehlo", "m.example")
    assert "192.0.2.8 is slot 1 already, active: an IP has one slot" in refused(settings, 1, *one)
    assert "slot 1 is not spare" in refused(settings, 1, *one, "--slot", "1")
    assert "expected less than kafka.slots = 4" in refused(settings, 2, *one, "--slot", "4")
    assert "expected an IPv4 or IPv6 address" in refused(
        settings, 2, "egress", "add", "m.example", "--ehlo", "m.example"
    )
    assert "give ADDRESS" in refused(settings, 2, "egress", "add", "--ehlo", "m.example")
    add(settings, 10)
    full = refused(settings, 1, "egress", "add", "192.0.2.11", "--ehlo", "m.example")
    assert "all 4 slots are in use" in full
    assert [slot for slot, _ in world(settings).weights("shared", "gmail", datetime.now(UTC))] == [0, 2, 3]


def test_an_ip_is_named_by_slot_address_or_ehlo(settings: Settings) -> None:
    """What none of them names is told which there are."""
    add(settings, 7)
    for name in ("0", "192.0.2.7", "m7.mail.example"):
        assert json.loads(done(settings, "egress", "warmup", name, "--json"))["slot"] == 0
    assert "no sending IP '192.0.2.77'; there are 0 (192.0.2.7)" in refused(
        settings, 1, "egress", "drain", "192.0.2.77"
    )


def test_a_drained_ip_takes_no_mail_until_it_is_resumed(settings: Settings) -> None:
    """Who drains the pool's last is warned."""
    add(settings, 7)
    add(settings, 8)
    assert "warning" not in run(settings, "egress", "drain", "192.0.2.7").stderr
    assert world(settings).slot_closed(0, "gmail", NOW) == "egress state is drained"
    assert "pool shared has no active IP left" in run(settings, "egress", "drain", "1").stderr
    told = json.loads(done(settings, "egress", "resume", "0", "--json"))
    assert (told["state"], told["lifted"], told["still"]) == ("active", ["state drained"], [])
    assert "nothing stopped it" in run(settings, "egress", "resume", "0").stderr
    warmup = world(settings).egress["0"].warmup
    assert warmup is not None, "what was declared of it stands"


def test_a_suspension_is_for_a_while_and_for_whom_it_says(settings: Settings) -> None:
    """At a provider, until a time; resume lifts the operators' word and names automation's."""
    add(settings, 7)
    told = done(
        settings, "egress", "suspend", "0", "--provider", "gmail", "--for", "2h", "--reason", "listed", "--json"
    )
    control = msgspec.json.decode(told, type=Control)
    assert control.until is not None and control.until - control.at == timedelta(hours=2)
    closed = world(settings).slot_closed(0, "gmail", datetime.now(UTC))
    assert closed.startswith("suspended by ") and closed.endswith(": listed")
    assert world(settings).slot_closed(0, "docomo", datetime.now(UTC)) == ""
    automatic = msgspec.structs.replace(control, by="automation:blocked-ip", provider="docomo")
    with Publisher(settings) as publisher:
        publisher.send(topics.CONTROLS, "slot/0/docomo@blocked-ip", automatic)
    listed = json.loads(done(settings, "egress", "list", "--json"))[0]
    assert {one["provider"] for one in listed["controls"]} == {"gmail", "docomo"}
    assert "suspended at gmail by" in done(settings, "egress", "list")
    resumed = json.loads(done(settings, "egress", "resume", "0", "--json"))
    assert len(resumed["lifted"]) == 1 and "docomo by automation:blocked-ip" in resumed["still"][0]
    assert "did you mean gmail?" in refused(settings, 1, "egress", "suspend", "0", "--provider", "gmial")
    assert "at most 366 days" in refused(settings, 2, "egress", "suspend", "0", "--for", "999999d")
    assert "--for soon: expected a number" in refused(settings, 2, "egress", "suspend", "0", "--for", "soon")


def test_a_warm_up_is_begun_shown_and_ended(settings: Settings) -> None:
    """What CONTROL said of it, provider by provider; begun anew, nothing was said yet."""
    add(settings, 7)
    day = WarmupDay(
        slot=0,
        provider="gmail",
        day="2026-12-01",
        stage=3,
        allowance=168,
        weight=0.2,
        reason="a good day: 112 sent, 1 deferred",
        at=datetime.now(UTC),
    )
    with Publisher(settings) as publisher:
        publisher.send(topics.WARMUPS, "0/gmail", day)
    shown = done(settings, "egress", "warmup", "192.0.2.7")
    assert "168" in shown and "a good day: 112 sent" in shown
    assert "warm at 0 of 1, 168 to 168 a day" in done(settings, "egress", "list")
    begun = msgspec.json.decode(
        done(settings, "egress", "warmup", "0", "--start", "--initial", "10", "--json"), type=Egress
    )
    assert begun.warmup is not None and begun.warmup.initial_per_day == 10
    assert "control has not spoken yet" in run(settings, "egress", "warmup", "0").stderr
    assert msgspec.json.decode(done(settings, "egress", "warmup", "0", "--end", "--json"), type=Egress).warmup is None
    assert "has no warm-up" in run(settings, "egress", "warmup", "0").stderr
    assert "which one is meant" in refused(settings, 2, "egress", "warmup", "0", "--start", "--end")
    assert "give --start" in refused(settings, 2, "egress", "warmup", "0", "--initial", "10")


def test_what_an_ip_may_do_at_a_provider_is_explained(settings: Settings) -> None:
    """By address or slot, by provider or one of its domains; as a table and as data."""
    add(settings, 7, "--initial", "20")
    told = json.loads(done(settings, "explain", "egress", "192.0.2.7", "googlemail.com", "--json"))
    assert (told["slot"], told["pool"], told["provider"]) == (0, "shared", "gmail")
    facts = {one["what"]: one for one in told["lines"]}
    assert facts["warm-up"]["value"] == 20
    assert facts["messages a second"]["source"] == "shaping.toml [provider.gmail]"
    assert facts["connections"]["source"].startswith(("shaping.toml", "setting smtp.connections_per_slot"))
    table = done(settings, "explain", "egress", "0", "gmail")
    assert "said by" in table and "topic egress, key 0; control has not spoken yet" in table
    assert "did you mean gmail?" in refused(settings, 1, "explain", "egress", "0", "gmial")
    assert "no sending IP '9'" in refused(settings, 1, "explain", "egress", "9", "gmail")
