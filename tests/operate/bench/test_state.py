"""The state bench, small: it finds each answer right, and what a kill leaves on disk is what the next process has."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.operate.bench.state import STEPS, run
from streams.runtime.settings import KafkaSettings, Settings

ENTRIES = 20_000


@pytest.mark.integration
def test_twenty_thousand_of_each_outlive_a_kill(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """No answer is wrong before the kill or after it; the table is not read again, but for what was not applied."""
    base = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap=kafka_bootstrap, prefix=topic_prefix))
    said: list[str] = []
    result = run(base, tmp_path, said.append, persons=ENTRIES, suppressions=ENTRIES)
    assert said == list(STEPS)
    wrong = {one.name: one.value for one in result.checks if "wrong" in one.name}
    assert wrong == {"list: wrong answers": 0, "table: wrong answers": 0}
    assert result.figures["table_records_read_again"] < ENTRIES / 2
    assert result.figures["lookup_p99_us"] > 0
    assert result.figures["list_rss_mb"] > 0
    assert result.figures["table_disk_mb"] > 0
