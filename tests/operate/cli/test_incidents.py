"""`evenpost incidents`: the newest with whether they stand, and an end to one before its time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from schemas import ids
from schemas.events import Incident
from schemas.topics import CONTROLS, INCIDENTS
from streams.control.firing import Firing, fired, incident_id
from streams.operate.cli import app
from streams.runtime.cluster import Publisher, find
from streams.runtime.settings import Settings
from tests.runtime.builders import deployed

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC).replace(microsecond=0)


def firing(key: str, *, ago: timedelta, rule: str = "blocked-ip", action: str = "deal_elsewhere") -> Firing:
    """An incident of an IP, with what it set for an hour."""
    at = NOW - ago
    return fired(
        Incident(
            incident_id=incident_id(rule, "slot/provider", key, at),
            rule=rule,
            scope="slot/provider",
            key=key,
            action=action,  # type: ignore[arg-type]
            value="3 in 2 s",
            limit="3 in 600 s",
            evidence=("550 5.7.1 blocked",),
            at=at,
            until=None if action == "flag" else at + timedelta(hours=1),
        )
    )


STANDS, OVER, TOLD = (
    firing("3/gmail", ago=timedelta(minutes=5)),
    firing("4/gmail", ago=timedelta(hours=2)),
    firing("5/gmail", ago=timedelta(minutes=1), rule="mine", action="flag"),
)


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment in which three fired: one stands, one is over, one was told alone."""
    now = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    with Publisher(now) as publisher:
        for one in (STANDS, OVER, TOLD, TOLD):
            publisher.send(INCIDENTS, f"{one.incident.scope}/{one.incident.key}", one.incident)
            if one.control is not None:
                publisher.send(CONTROLS, ids.control_key(one.control), one.control)
        publisher.send(INCIDENTS, "broken", b"[]")
    return now


def run(settings: Settings, *arguments: str) -> Result:
    """The command in this deployment."""
    environment = {
        "EVENPOST_DATA_DIR": str(settings.data_dir),
        "EVENPOST_KAFKA__BOOTSTRAP": str(settings.kafka.bootstrap),
        "EVENPOST_KAFKA__PREFIX": settings.kafka.prefix,
    }
    return CliRunner().invoke(app, ["incidents", *arguments], env=environment)


def test_the_newest_are_first_each_once_and_say_whether_they_stand(settings: Settings) -> None:
    """As JSON with the evidence, narrowed by rule and by what stands; as a table with what an eye needs."""
    found = json.loads(run(settings, "--json").stdout)
    assert [(one["key"], one["stands"]) for one in found] == [("5/gmail", False), ("3/gmail", True), ("4/gmail", False)]
    assert found[1]["evidence"] == ["550 5.7.1 blocked"]
    assert [one["key"] for one in json.loads(run(settings, "--standing", "--json").stdout)] == ["3/gmail"]
    assert [one["key"] for one in json.loads(run(settings, "--rule", "mine", "--json").stdout)] == ["5/gmail"]
    table = run(settings, "--limit", "2").stdout
    assert STANDS.incident.incident_id[:10] in table
    assert "4/gmail" not in table


def test_what_stands_is_lifted_by_the_beginning_of_its_id(settings: Settings) -> None:
    """Its control is removed, no other; a second time nothing stands."""
    begin = STANDS.incident.incident_id[:10]
    assert run(settings, "lift", begin).exit_code == 0
    gone = find(settings, CONTROLS, "slot/3/gmail@blocked-ip")
    assert gone is None or gone.value is None
    assert find(settings, CONTROLS, "slot/4/gmail@blocked-ip") is not None
    again = run(settings, "lift", begin)
    assert again.exit_code == 1
    assert "does not stand any more" in again.stderr


def test_what_can_not_be_lifted_is_told(settings: Settings) -> None:
    """An incident that set nothing, an id that nobody has, one that many have."""
    assert "was told alone" in run(settings, "lift", TOLD.incident.incident_id).stderr
    assert "no incident 'zz'" in run(settings, "lift", "zz").stderr
    assert "no incident ''" in run(settings, "lift", "").stderr


def test_a_mistake_in_the_rules_is_one_line_before_anything_starts(settings: Settings) -> None:
    """`evenpost worker control` names file, rule, field, value and fix."""
    rules = settings.data_dir / "mine.toml"
    rules.parent.mkdir(exist_ok=True)
    rules.write_text("[rule.blocked-ip]\ncount = 0\n")
    environment = {
        "EVENPOST_DATA_DIR": str(settings.data_dir),
        "EVENPOST_KAFKA__BOOTSTRAP": str(settings.kafka.bootstrap),
        "EVENPOST_CONTROL__AUTOMATION": str(rules),
    }
    told = CliRunner().invoke(app, ["worker", "control"], env=environment)
    assert told.exit_code == 2
    assert f"error: {rules}: [rule.blocked-ip] count = 0: must be a whole number of 1 to 1,000" in told.stderr
