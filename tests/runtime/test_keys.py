"""Secret keys: one for all processes of a deployment, whoever asks first."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.runtime.errors import KeyMissingError
from streams.runtime.keys import key_of_version, load_key
from streams.runtime.settings import SecretSettings, Settings

ASK = """
import sys, pathlib
from streams.runtime.keys import load_key
from streams.runtime.settings import Settings
print("up", flush=True)
sys.stdin.readline()
print(load_key(Settings(data_dir=pathlib.Path(sys.argv[1])), "address_id").hex())
"""


def test_processes_that_ask_at_once_read_one_key(tmp_path: Path) -> None:
    """Four roles start on an empty data directory: one makes the key, and nobody has another."""
    command = [sys.executable, "-c", ASK, str(tmp_path)]
    asking = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        for _ in range(4)
    ]
    for process in asking:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"  # all are ready before the first may ask
    for process in asking:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0].strip() for process in asking}
    assert len(keys) == 1
    (key,) = keys
    assert bytes.fromhex(key) == load_key(Settings(data_dir=tmp_path), "address_id")
    assert len(key) == 64
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["address-id.key"]


def test_a_key_is_for_its_owner_alone_and_differs_by_name(tmp_path: Path) -> None:
    """Neither group nor others read it; the token's key is not the address key."""
    settings = Settings(data_dir=tmp_path)
    assert load_key(settings, "address_id") != load_key(settings, "token")
    for file in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_key_that_is_given_makes_no_file(tmp_path: Path) -> None:
    """A secret from the environment is the key, as it is."""
    settings = Settings(data_dir=tmp_path, secrets=SecretSettings(token=SecretStr("from a vault")))
    assert load_key(settings, "token") == b"from a vault"
    assert not (tmp_path / "keys").exists()


def test_a_former_key_is_the_one_that_was_kept(tmp_path: Path) -> None:
    """By version: the current one, a file beside it, or the settings; never another in its place, nor one made anew."""
    settings = Settings(
        data_dir=tmp_path,
        secrets=SecretSettings(token_version=3, former={"token-2": SecretStr("kept in a vault")}),
    )
    current = load_key(settings, "token")
    assert key_of_version(settings, "token", 3) == current
    assert key_of_version(settings, "token", 2) == b"kept in a vault"
    with pytest.raises(KeyMissingError, match=r"token-1\.key does not exist.*EVENPOST_SECRETS__FORMER"):
        key_of_version(settings, "token", 1)
    (tmp_path / "keys" / "token-1.key").write_text(b"first".hex())
    assert key_of_version(settings, "token", 1) == b"first"
