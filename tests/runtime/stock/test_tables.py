"""Stock Faust 0.15.3's tables: why ours stand beside it (FAUST.md 6, 7, 10, 11, 17a)."""

from __future__ import annotations

from pathlib import Path

import pytest
from faust import stores
from faust.exceptions import PartitionsMismatch
from faust.types import TP

from tests.runtime.stock.apps import PLACE, stock_app


async def test_6_stock_tables_are_written_by_the_current_event_alone() -> None:
    """A waiting room that releases on a clock could not write."""
    with stock_app() as app:
        table = app.Table("persons")
        with pytest.raises(TypeError, match="outside of stream iteration"):
            table["k"] = 1


async def test_7_stock_tables_want_as_many_partitions_as_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen at the first write, when the topics have long been made."""
    with stock_app() as app:
        table = app.Table("persons")
        monkeypatch.setattr(app.consumer, "topic_partitions", lambda topic: 12 if topic == "source" else 8)
        with pytest.raises(PartitionsMismatch):
            table._verify_source_topic_partitions("source")


async def test_10_stock_windows_grow_with_each_write() -> None:
    """A thousand writes of one key in one window leave a thousand entries."""
    with stock_app() as app:
        table = app.Table("counts")
        table.tumbling(60.0, expires=120.0)
        for _ in range(1_000):
            table._maybe_set_key_ttl(("k", (0.0, 59.9)), 0)
        assert len(table._partition_timestamps[0]) == 1_000


def test_11_stock_takes_rocksdict_for_a_store_and_fails_late() -> None:
    """`rocksdict://` finds the module of that name, which is no store: TypeError where the table starts."""
    with pytest.raises(TypeError, match="not callable"):
        stores.by_url("rocksdict://")("rocksdict://", app=None, table=None)


async def test_11_stock_makes_the_last_folder_of_its_data_directory_only(tmp_path: Path) -> None:
    """Its parent must be there."""
    with stock_app(datadir=str(tmp_path / "a" / "b")) as app, pytest.raises(FileNotFoundError):
        app._create_directories()


async def test_17a_stock_recovery_waits_for_the_record_before_the_end() -> None:
    """Five offsets, of which the last is a commit marker: the last readable one is 3, and it waits for 4."""
    with stock_app() as app:
        recovery = app.tables.recovery
        await recovery._build_highwaters(Ends(), {PLACE}, recovery.active_highwaters, "active")
        recovery.active_offsets[PLACE] = 3
        assert recovery.active_remaining_total() == 1


class Ends:
    """What the driver says of the changelog's end."""

    async def highwaters(self, *_: object) -> dict[TP, int]:
        """The next offset: 5."""
        return {PLACE: 5}
