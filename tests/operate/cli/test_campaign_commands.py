"""Campaigns by command on a real broker: submitted, looked at, stopped; every no is one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from schemas import ids, topics
from schemas.events import (
    Campaign,
    Control,
    Egress,
    Via,
)
from streams.runtime.cluster import Publisher
from streams.runtime.settings import Settings
from tests.operate.cli.commanding import (
    CAMPAIGN_TOML,
    campaign,
    campaign_file,
    compiled,
    done,
    records,
    refused,
    run,
    submitted,
)

pytestmark = pytest.mark.integration


def test_a_submitted_campaign_is_upstreams_event(settings: Settings, tmp_path: Path) -> None:
    """Key and body are those of any other producer."""
    name = submitted(settings, tmp_path, "plain")
    (value,) = records(settings, topics.CAMPAIGNS, name)
    assert msgspec.json.decode(value or b"", type=Campaign) == campaign("plain")


def test_submit_tells_what_control_made_of_it(settings: Settings, tmp_path: Path) -> None:
    """Compiled = its version; refused = the reason and exit code 1; silence = said so."""
    good, bad = compiled(campaign("good")), compiled(campaign("bad"), reason="subject: unexpected '}'")
    with Publisher(settings) as publisher:
        for key, content in (good, bad):
            publisher.send(topics.CONTENTS, key, content)
    told = json.loads(done(settings, "campaign", "submit", campaign_file(tmp_path, "good"), "--json"))
    assert told == {"campaign": "acme:good", "state": "compiled", "version": good[1].version, "reason": ""}
    assert "subject: unexpected '}'" in refused(settings, 1, "campaign", "submit", campaign_file(tmp_path, "bad"))
    silent = run(settings, "campaign", "submit", campaign_file(tmp_path, "silent"), "--wait", "0.3")
    assert silent.exit_code == 0 and "no control worker compiled it" in silent.stderr


def test_status_tells_why_a_campaign_sends_nothing(settings: Settings, tmp_path: Path) -> None:
    """CONTROL refused its content, or its pool has no slot: state and reason say so, and submit warns of the latter."""
    refused_content = compiled(campaign("unfit"), reason="html: [b]unexpected :smile:")
    with Publisher(settings) as publisher:
        publisher.send(topics.CONTENTS, *refused_content)
        publisher.send(topics.EGRESS, "0", Egress(slot=0, via=Via(kind="bind", address="127.0.0.2"), ehlo="m.example"))
    name = submitted(settings, tmp_path, "unfit")
    told = json.loads(done(settings, "campaign", "status", name, "--json"))
    assert (told["state"], told["reason"]) == ("refused", "html: [b]unexpected :smile:")
    path = campaign_file(tmp_path, "lost")
    path.write_text(f'pool = "nopool"\n{path.read_text(encoding="utf-8")}', encoding="utf-8")
    assert "no active egress in pool nopool" in run(settings, "campaign", "submit", path, "--wait", "0").stderr
    told = json.loads(done(settings, "campaign", "status", "acme:lost", "--json"))
    assert (told["state"], told["reason"]) == ("running", "no active egress in pool nopool")
    table = done(settings, "campaign", "status", "--all")
    assert "html: [b]unexpected :smile:" in table and "accepted" not in table
    with Publisher(settings) as publisher:
        publisher.send(topics.EGRESS, "0", None)


def test_submit_refuses_before_kafka_has_it(settings: Settings, tmp_path: Path) -> None:
    """A wrong file is exit code 2, an unknown tenant 1, and nothing was written."""
    path = campaign_file(tmp_path, "wrong", kind="promo")
    assert "kind = 'promo'" in refused(settings, 2, "campaign", "submit", path)
    path.write_text(CAMPAIGN_TOML.format(id="wrong", kind="marketing").replace('"acme"', '"nobody"'), encoding="utf-8")
    assert "no tenant 'nobody' (known: acme)" in refused(settings, 1, "campaign", "submit", path)
    assert records(settings, topics.CAMPAIGNS, "acme:wrong") == []


def test_pause_resume_and_cancel_write_controls(settings: Settings, tmp_path: Path) -> None:
    """A pause is a control, its end a tombstone; a cancelled campaign stays cancelled."""
    name = submitted(settings, tmp_path, "held")
    done(settings, "campaign", "pause", name, "--reason", "wrong price")
    assert json.loads(done(settings, "campaign", "status", name, "--json"))["state"] == "paused"
    done(settings, "campaign", "resume", name)
    done(settings, "campaign", "cancel", name, "--yes")
    pause, tombstone, cancel = records(settings, topics.CONTROLS, f"campaign/{name}")
    control = msgspec.json.decode(pause or b"", type=Control)
    assert (control.target, control.key, control.state, control.reason) == ("campaign", name, "paused", "wrong price")
    assert tombstone is None
    assert msgspec.json.decode(cancel or b"", type=Control).state == "cancelled"
    assert "was cancelled" in refused(settings, 1, "campaign", "resume", name)


def test_resume_tells_whom_automation_has_paused(settings: Settings, tmp_path: Path) -> None:
    """An operator's word does not end automation's: the refusal names until when, why, and the command that does."""
    name = submitted(settings, tmp_path, "spammy")
    now = datetime.now(UTC)
    control = Control(
        target="campaign",
        key=name,
        state="paused",
        by="automation:spam-content",
        reason="spam-content: 30 in 60 s",
        at=now,
        until=now + timedelta(hours=2),
    )
    with Publisher(settings) as publisher:
        publisher.send(topics.CONTROLS, ids.control_key(control), control)
    told = refused(settings, 1, "campaign", "resume", name)
    assert "by spam-content: 30 in 60 s" in told
    assert "evenpost incidents lift ID" in told


def test_cancel_asks_first(settings: Settings, tmp_path: Path) -> None:
    """Nobody said yes: nothing happens."""
    name = submitted(settings, tmp_path, "kept")
    assert run(settings, "campaign", "cancel", name).exit_code == 1
    assert records(settings, topics.CONTROLS, f"campaign/{name}") == []


def test_a_campaign_typed_wrong_names_near_ones(settings: Settings, tmp_path: Path) -> None:
    """`acme:sprnig` was meant to be `acme:spring`."""
    submitted(settings, tmp_path, "spring")
    assert "acme:spring" in refused(settings, 1, "campaign", "pause", "acme:sprnig")
    assert "expected TENANT:CAMPAIGN" in refused(settings, 2, "campaign", "status", "spring")
    assert "--all" in refused(settings, 2, "campaign", "status")
