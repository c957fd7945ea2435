"""Settings: defaults that are safe, one order of sources, and errors that a person can act on."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.operate.errors import SettingsFault
from streams.operate.settings_tree import load_settings
from streams.runtime.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a file nor variables of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVENPOST_CONFIG", raising=False)


def test_no_cluster_and_no_warehouse_are_named_by_default() -> None:
    """The embedded broker and the embedded engine are the default."""
    settings = Settings()
    assert (settings.kafka.bootstrap, settings.clickhouse.dsn) == (None, None)


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Value by value: what only the file says stays."""
    (tmp_path / "evenpost.toml").write_text('[kafka]\nbootstrap = "a:1"\nslots = 5\n')
    monkeypatch.setenv("EVENPOST_KAFKA__BOOTSTRAP", "b:2")
    settings = Settings()
    assert (settings.kafka.bootstrap, settings.kafka.slots) == ("b:2", 5)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("EVENPOST_SMTP__ROUTE", "smarthost:mx.example", r"smtp\.route = 'smarthost:mx\.example'.*HOST:PORT"),
        ("EVENPOST_SMTP__ROUTE", "smarthost:mx.example:99999", r"smtp\.route.*HOST:PORT"),
        ("EVENPOST_KAFKA__SLOTS", "many", r"kafka\.slots = 'many'.*integer.*EVENPOST_KAFKA__SLOTS"),
        ("EVENPOST_KAFKA__SESSION_TIMEOUT_S", "1", r"kafka\.session_timeout_s = '1'.*6"),
        ("EVENPOST_SMTP__PORT", "70000", r"smtp\.port = '70000'"),
        ("EVENPOST_KAFKA__BOOTSTRP", "a:1", r"EVENPOST_KAFKA__BOOTSTRAP"),
    ],
)
def test_a_wrong_value_is_named_with_its_source(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    """Setting, value, what is wanted, and who said it; one line."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsFault, match=words) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_a_typo_in_the_file_does_not_pass(tmp_path: Path) -> None:
    """An unknown name in a section is an error, not a default that stays in force."""
    (tmp_path / "evenpost.toml").write_text("[smtp]\nprot = 2525\n")
    with pytest.raises(ValidationError, match=r"smtp\.prot"):
        Settings()
    with pytest.raises(SettingsFault, match=r"smtp\.prot is no setting"):
        load_settings()


def test_secrets_are_not_shown() -> None:
    """A settings object that ends in a log tells no password."""
    settings = Settings.model_validate({"kafka": {"sasl_password": "geheim"}, "secrets": {"token": "geheim"}})
    assert "geheim" not in repr(settings) and "geheim" not in str(settings)
