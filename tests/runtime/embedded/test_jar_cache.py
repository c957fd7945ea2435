"""The embedded Kafka's jars are exactly the locked ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.runtime.embedded import jar_cache as jars


def test_the_lock_names_every_jar_by_sha256_and_no_address() -> None:
    """Reproducible from any repository: coordinates and hashes, no hosts."""
    text = jars.LOCK_FILE.read_text()
    locked = jars.locked_jars()
    assert "://" not in text
    assert {jar.version for jar in locked if jar.group_id == "org.apache.kafka"} == {jars.KAFKA_VERSION}
    assert all(len(jar.sha256) == 64 for jar in locked)
    assert len({jar.file_name for jar in locked}) == len(locked) > 40


def test_a_jar_that_differs_from_the_lock_counts_as_missing(tmp_path: Path) -> None:
    """A truncated or exchanged jar is fetched again, never run."""
    jars.fetch()
    for jar in jars.locked_jars():
        (tmp_path / jar.file_name).symlink_to(jars.jar_dir() / jar.file_name)
    assert jars.missing_jars(tmp_path) == []
    damaged, absent = jars.locked_jars()[:2]
    (tmp_path / damaged.file_name).unlink()
    (tmp_path / damaged.file_name).write_bytes(b"PK")
    (tmp_path / absent.file_name).unlink()
    assert jars.missing_jars(tmp_path) == [damaged, absent]


def test_a_jar_that_cannot_be_had_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline with an empty cache: the coordinates, the reason and the ways out, no traceback of a library."""
    monkeypatch.setenv("EVENPOST_CACHE_DIR", str(tmp_path))
    for proxy in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(jars.JarsUnavailable, match=r"needs org\.\S+:\S+:[\d.]+.*EVENPOST_KAFKA__BOOTSTRAP"):
        jars.fetch()
    assert list(jars.jar_dir().glob("*.jar")) == []


def test_the_class_path_holds_all_jars_and_needs_no_network_once_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modular or not, every jar is on the class path; a full cache fetches nothing."""
    jars.fetch()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert jars.fetch() == 0
    path = jars.class_path().split(":")
    assert len(path) == len(jars.locked_jars()) and all(Path(jar).is_file() for jar in path)
