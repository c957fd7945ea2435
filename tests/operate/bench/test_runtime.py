"""`evenpost bench runtime` from end to end, small: it is right on both sides, and says so as scripts want it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.operate.cli import app
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.topic_admin import admin_client


@pytest.mark.integration
def test_a_small_run_is_right_on_every_side(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables by stock Faust, by ours and in transactions: each event once; nothing stays on a cluster of yours."""
    monkeypatch.setenv("EVENPOST_KAFKA__BOOTSTRAP", kafka_bootstrap)
    monkeypatch.setenv("EVENPOST_KAFKA__PREFIX", topic_prefix)
    command = ["bench", "runtime", "--events", "500", "--rounds", "1", "--json"]
    result = CliRunner().invoke(app, [*command, "--workload", "table", "--workload", "latency"])
    assert result.exit_code == 0, result.output
    line = json.loads(result.stdout)
    assert line["ok"] is True
    assert [one["name"] for one in line["checks"]] == [
        "table stock: faults",
        "table ours: faults",
        "table transactions: faults",
    ]
    assert all(one.keys() == {"name", "value", "limit", "ok"} for one in line["checks"])
    figures = line["figures"]
    assert figures["loop"] == ["uvloop"]
    assert all(figures["rates"]["table"][side]["per_s"] > 0 for side in ("stock", "ours", "transactions"))
    assert figures["idle_visible_ms"]["p50"] > 0
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap=kafka_bootstrap, prefix=topic_prefix))
    admin = admin_client(settings)
    assert [name for name in admin.list_topics(timeout=10).topics if name.startswith(topic_prefix)] == []


def test_a_workload_that_is_none_is_named() -> None:
    """Exit code 2, with those that there are."""
    result = CliRunner().invoke(app, ["bench", "runtime", "--workload", "tables"])
    assert result.exit_code == 2
    assert "--workload tables: there are raw, table, send, ack, latency" in result.output
