"""The five-minute tour's files are what the README says: they submit, compile and load as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from schemas import topics
from streams.operate.cli import app
from streams.operate.csv_rows import CsvRows, detect
from streams.operate.documents import read_campaign, read_egress, read_tenant
from streams.operate.recipient_rows import assign_columns, build_recipient
from streams.operate.settings_tree import environment
from streams.runtime.cluster import read_all
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.topic_admin import apply_topics

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "docs" / "tour"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "docs" / "adr" / "README.md",
]
COMMANDS = vars(typer.main.get_command(app))["commands"]


def test_tenant_campaign_and_slots_are_read() -> None:
    """The campaign sends from the tenant's domain, under the cap class that the tenant has."""
    tenant, campaign = read_tenant(TOUR / "tenant.toml"), read_campaign(TOUR / "campaign.toml")
    assert campaign.tenant == tenant.tenant
    assert campaign.from_.address.rpartition("@")[2] in {domain.domain for domain in tenant.domains}
    assert campaign.cap_class in {cap.class_ for cap in tenant.caps}
    assert [one.slot for one in read_egress(TOUR / "egress.toml")] == [0, 1]


def test_every_recipient_has_every_variable_of_the_template() -> None:
    """No row is bad, and no `{{ name }}` stays empty."""
    campaign = read_campaign(TOUR / "campaign.toml")
    rows = CsvRows(TOUR / "people.csv", encoding=detect(TOUR / "people.csv"))
    assigned = assign_columns(rows.columns, {})
    people = [build_recipient(row, assigned, campaign) for row in rows]
    rows.close()
    assert len(people) == 4
    for person in people:
        assert all(person.variables.values()) and person.variables.keys() == {"name", "points"}


@pytest.mark.integration
def test_the_readmes_commands_run_as_they_stand(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is typed from the README, from the root of a clone, is done; the recipients are in Kafka."""
    monkeypatch.chdir(ROOT)
    kafka = KafkaSettings(bootstrap=kafka_bootstrap, prefix=topic_prefix, gate_partitions=2, slots=2)
    settings = Settings(data_dir=tmp_path, kafka=kafka)
    apply_topics(settings)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    typed = [shlex.split(line, comments=True) for line in readme.splitlines() if line.startswith("evenpost ")]
    groups = {"egress", "tenant", "campaign", "recipients"}
    ours = [words[1:] for words in typed if words[1] in groups]
    assert [words[0] for words in ours] == ["egress", "tenant", "campaign", "recipients", "campaign"]
    for words in ours:
        more = ["--wait", "0"] if words[1:2] == ["submit"] and words[0] == "campaign" else []  # no control worker here
        result = CliRunner().invoke(app, [*words, *more], env=environment(settings))
        assert result.exit_code == 0, result.output
    keys = sorted(record.key for record in read_all(settings, topics.RECIPIENTS_MARKETING))
    assert keys == [f"acme:u{number}" for number in range(1, 5)]


def named_options(command: Any) -> set[str]:
    """What may follow a group that does something by itself: nothing, or an option of its own."""
    return {"", *(option for parameter in command.params for option in parameter.opts)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_command_of_the_documents_exists(document: Path) -> None:
    """A reader meets no dead link and no command that was renamed."""
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / target).exists(), target
    named = re.findall(r"(?:^|`)evenpost ([a-z-]+)(?: ([a-z-]+))?", text, re.MULTILINE)
    for first, second in named:
        assert first in COMMANDS, first
        command = COMMANDS[first]
        below = getattr(command, "commands", None)
        stands_alone = getattr(command, "invoke_without_command", False)
        assert below is None or second in below or (stands_alone and second in named_options(command)), (first, second)
