"""Commands as a person runs them, on a real broker: how they end, and what they wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from schemas import ids, topics
from schemas.events import (
    Address,
    Campaign,
    Content,
    DkimKey,
    Domain,
    Tenant,
)
from streams.operate.cli import app
from streams.runtime.cluster import read_all
from streams.runtime.settings import Settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TENANT = Tenant(
    tenant="acme",
    name="Acme",
    domains=(
        Domain(
            domain="acme.example",
            return_path_domain="bounce.acme.example",
            dkim=(DkimKey(selector="s1", key_file="keys/acme-s1.pem"),),
        ),
    ),
)
CAMPAIGN_TOML = """
tenant = "acme"
campaign_id = "{id}"
kind = "{kind}"
subject = "{{{{ name }}}}さんへ"
html = "<p>秋</p>"
from = {{ name = "エイクミ", address = "news@acme.example" }}
"""


def run(settings: Settings, *arguments: str | Path) -> Result:
    """One command line in this deployment."""
    environment = {
        "EVENPOST_DATA_DIR": str(settings.data_dir),
        "EVENPOST_KAFKA__BOOTSTRAP": str(settings.kafka.bootstrap),
        "EVENPOST_KAFKA__PREFIX": settings.kafka.prefix,
        "EVENPOST_KAFKA__GATE_PARTITIONS": "2",
        "EVENPOST_KAFKA__SLOTS": "4",
    }
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


def done(settings: Settings, *arguments: str | Path) -> str:
    """What a command that succeeds prints."""
    result = run(settings, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(settings: Settings, code: int, *arguments: str | Path) -> str:
    """The one line of a command that doesn't."""
    result = run(settings, *arguments)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    *_, line = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line


def campaign_file(folder: Path, campaign_id: str, *, kind: str = "marketing") -> Path:
    """A campaign's TOML."""
    path = folder / f"{campaign_id}.toml"
    path.write_text(CAMPAIGN_TOML.format(id=campaign_id, kind=kind), encoding="utf-8")
    return path


def submitted(settings: Settings, folder: Path, campaign_id: str, *, kind: str = "marketing") -> str:
    """A campaign that was submitted, by its name."""
    done(settings, "campaign", "submit", campaign_file(folder, campaign_id, kind=kind), "--wait", "0")
    return f"acme:{campaign_id}"


def records(settings: Settings, topic: topics.Topic, key: str) -> list[bytes | None]:
    """The values under a key, in order."""
    return [record.value for record in read_all(settings, topic) if record.key == key]


def compiled(campaign: Campaign, **change: str) -> tuple[str, Content]:
    """What CONTROL would say of a campaign, and under which key."""
    version = ids.content_version(ids.campaign_shape(campaign), TENANT.domains[0])
    content = Content(
        tenant="acme", campaign_id=campaign.campaign_id, version=version, kind=campaign.kind, channel="mail",
        from_=campaign.from_, compiled_at=NOW, state="refused" if change else "compiled", **change,
    )  # fmt: skip
    return ids.content_key("acme", campaign.campaign_id, version), content


def campaign(campaign_id: str) -> Campaign:
    """The campaign of `campaign_file`."""
    return Campaign(
        tenant="acme", campaign_id=campaign_id, kind="marketing", subject="{{ name }}さんへ", html="<p>秋</p>",
        from_=Address(name="エイクミ", address="news@acme.example"),
    )  # fmt: skip
