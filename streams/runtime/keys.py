"""Secret keys of the deployment: given in the settings, or a file below `data_dir/keys` made at first use.

The address key names every address in ClickHouse and in the suppression list: back it up, or the names are lost.
"""

import os
import secrets
from pathlib import Path
from typing import Final, Literal

from streams.runtime.errors import KeyMissingError
from streams.runtime.settings import Settings

KEY_BYTES: Final = 32
KeyName = Literal["address_id", "token"]


def load_key(settings: Settings, name: KeyName) -> bytes:
    """The key's bytes.  Several processes may ask at once for the first time: one makes it, all read the same."""
    if getattr(settings.secrets, name) is None and not _path(settings, name).exists():
        _make(_path(settings, name))
    return existing_key(settings, name)


def existing_key(settings: Settings, name: KeyName) -> bytes:
    """The key's bytes, for those whom a new key would mislead.  Raises KeyMissingError where there is none."""
    given = getattr(settings.secrets, name)
    if given is not None:
        return bytes(given.get_secret_value().encode())
    path = _path(settings, name)
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise KeyMissingError(name, path) from None


def key_of_version(settings: Settings, name: KeyName, version: int) -> bytes:
    """The key as of a version: the current one, or one that was kept.  Raises KeyMissingError."""
    if version == getattr(settings.secrets, f"{name}_version"):
        return load_key(settings, name)
    kept = f"{_path(settings, name).stem}-{version}"
    given = settings.secrets.former.get(kept)
    if given is not None:
        return bytes(given.get_secret_value().encode())
    path = _path(settings, name).with_name(f"{kept}.key")
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        setting = f"{kept!r} in EVENPOST_SECRETS__FORMER (JSON)"
        raise KeyMissingError(kept, path, setting=setting) from None


def _path(settings: Settings, name: KeyName) -> Path:
    return settings.data_dir / "keys" / f"{name.replace('_', '-')}.key"


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(secrets.token_hex(KEY_BYTES) + "\n", encoding="ascii")
    try:
        os.link(fresh, path)  # unlike a rename, it fails where another process was first
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
