"""`evenpost bench sender` from end to end, small: it is right on both sides, and says so as scripts want it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.operate.cli import app
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.topic_admin import admin_client


# Alone: a sender whose views lose touch for 3 s gives sends back, and the bench has no gate that deals them again.
@pytest.mark.alone
@pytest.mark.integration
def test_a_small_run_is_right_with_the_journal_and_without(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message at the receiver once, delivered, committed; intents are timed on the one side, and on it alone."""
    monkeypatch.setenv("EVENPOST_KAFKA__BOOTSTRAP", kafka_bootstrap)
    monkeypatch.setenv("EVENPOST_KAFKA__PREFIX", topic_prefix)
    command = ["bench", "sender", "--messages", "200", "--slots", "2", "--rounds", "1", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    line = json.loads(result.stdout)
    assert line["ok"] is True
    assert [one["name"] for one in line["checks"]] == ["with the journal: faults", "without the journal: faults"]
    figures = line["figures"]
    assert figures["octets"] == pytest.approx(10_240, rel=0.03)
    ours, beside = figures["sides"]["with"], figures["sides"]["without"]
    assert ours["per_s"] > 0
    assert beside["per_s"] > 0
    assert ours["intent_p50_ms"] > 0
    assert beside["intent_p50_ms"] is None
    assert figures["ratio"]["rounds"] == [figures["ratio"]["median"]]
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap=kafka_bootstrap, prefix=topic_prefix))
    admin = admin_client(settings)
    assert [name for name in admin.list_topics(timeout=10).topics if name.startswith(topic_prefix)] == []
