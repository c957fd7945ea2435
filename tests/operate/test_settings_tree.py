"""Each setting's value and where it came from; a child gets exactly the same tree by its environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.operate.errors import SettingsFault
from streams.operate.settings_tree import MASK, environment, leaves, load_settings
from streams.runtime.settings import KafkaSettings, SecretSettings, Settings


def configured(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, **variables: str) -> None:
    """A settings file and EVENPOST_ variables, for this test."""
    file = folder / "evenpost.toml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("EVENPOST_CONFIG", str(file))
    for name, value in variables.items():
        monkeypatch.setenv(f"EVENPOST_{name}", value)


def test_each_value_says_where_it_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment wins over the file, the file over the default."""
    configured(monkeypatch, tmp_path, "[kafka]\nslots = 8\nprefix = 'p.'\n", KAFKA__PREFIX="q.")
    found = {leaf.name: (leaf.shown, leaf.origin) for leaf in leaves(load_settings())}
    assert found["kafka.slots"] == (8, "file")
    assert found["kafka.prefix"] == ("q.", "environment")
    assert found["kafka.gate_partitions"] == (12, "default")


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a key nor a DSN's password is shown."""
    dsn = "https://reader:hunter2@ch.example:8443/evenpost"
    configured(monkeypatch, tmp_path, "", SECRETS__TOKEN="hunter2", CLICKHOUSE__DSN=dsn)
    shown = {leaf.name: leaf.shown for leaf in leaves(load_settings())}
    assert shown["secrets.token"] == MASK
    assert shown["clickhouse.dsn"] == f"https://{MASK}@ch.example:8443/evenpost"
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize(
    ("text", "variables", "words"),
    [
        ("", {"KAFKA__SLOTS": "many"}, r"kafka.slots = 'many': .*EVENPOST_KAFKA__SLOTS"),
        ("[kafka]\nslots = 0\n", {}, r"kafka.slots = 0: .*evenpost.toml"),
        ("[kafka]\nslot = 1\n", {}, r"kafka.slot is no setting"),
        ("", {"KAFKA__BOOTSTRP": "x:1"}, "did you mean EVENPOST_KAFKA__BOOTSTRAP"),
        ("", {"SMTP__ROUTE": "smarthost"}, "smarthost:HOST:PORT"),
        ("[kafka", {}, "is not TOML"),
        ("", {"PROVIDERS": "{"}, "providers"),
        ("[mail]\nmarketing_expire_s = nan\n", {}, r"mail\.marketing_expire_s = nan: "),
        ("[mail]\nmarketing_expire_s = 1e300\n", {}, r"mail\.marketing_expire_s = 1e\+300: .*31622400"),
        ("[smtp]\ncommand_timeout_s = inf\n", {}, r"smtp\.command_timeout_s = inf: "),
        ("[smtp]\nidle_s = -1\n", {}, r"smtp\.idle_s = -1: "),
        ("[dns]\ntimeout_s = 0\n", {}, r"dns\.timeout_s = 0: "),
        ('[mail]\nunsubscribe_url = "https://a.example/u\\r\\nBcc: x"\n', {}, r"mail\.unsubscribe_url = "),
        ('[kafka]\nprefix = "a b"\n', {}, r"kafka\.prefix = 'a b'"),
        ('[clickhouse]\ndsn = "ch.example"\n', {}, r"clickhouse\.dsn"),
    ],
)
def test_wrong_settings_name_the_setting_and_its_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, variables: dict[str, str], words: str
) -> None:
    """One line: the thing, the value, and what set it."""
    configured(monkeypatch, tmp_path, text, **variables)
    with pytest.raises(SettingsFault, match=words) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_a_wrong_secret_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also an error keeps a secret."""
    configured(monkeypatch, tmp_path, "[secrets]\ntoken = ['hunter2']\n")
    with pytest.raises(SettingsFault, match=r"secrets\.token") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_somebody_elses_variable_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Kubernetes sets EVENPOST_SERVICE_HOST for a service called evenpost."""
    configured(monkeypatch, tmp_path, "", SERVICE_HOST="10.0.0.1", PORT="tcp://10.0.0.1:80")
    assert load_settings().kafka.slots == 64


def test_a_child_has_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was built in code, read from a file or given by a variable arrives as it is, secrets too."""
    configured(monkeypatch, tmp_path, "[kafka]\nslots = 3\n", LOG_LEVEL="ERROR")
    settings = Settings(
        data_dir=tmp_path,
        providers={"docomo.example": "docomo"},
        kafka=KafkaSettings(slots=5, prefix="t."),
        secrets=SecretSettings(token=SecretStr("hunter2")),
    )
    told = environment(settings)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_former_keys_are_masked_and_a_child_has_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each by its name, whose value no page shows; a worker that is started gets them whole."""
    configured(monkeypatch, tmp_path, "[secrets.former]\ntoken-1 = 'hunter2'\n", SECRETS__TOKEN_VERSION="2")
    settings = load_settings()
    shown = {leaf.name: leaf.shown for leaf in leaves(settings)}
    assert shown["secrets.former"] == {"token-1": MASK}
    assert environment(settings)["EVENPOST_SECRETS__FORMER"] == '{"token-1":"hunter2"}'
