"""The settings as a flat list: which value is in force, where it came from, and the same tree as environment.

A value comes from the environment, else from the file, else it is the default (settings.py has the same order).
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import SettingsError

from streams.operate.errors import SettingsFault
from streams.runtime.settings import CONFIG_ENV, DEFAULT_CONFIG, Settings

PREFIX: Final = "EVENPOST_"
MASK: Final = "********"
Origin = Literal["default", "file", "environment"]
# A variable this like a setting's is a typo; one less like it is somebody else's (Kubernetes sets EVENPOST_SERVICE_HOST
# for a service called evenpost) and left alone.
_TYPO: Final = 0.9


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One value of the tree; a secret is shown as a mask."""

    name: str
    variable: str
    value: Any
    origin: Origin

    @property
    def shown(self) -> Any:
        """The value in JSON's types, secrets masked."""
        if isinstance(self.value, SecretStr):
            return MASK
        if isinstance(self.value, Mapping):
            return {name: MASK if isinstance(one, SecretStr) else one for name, one in self.value.items()}
        if self.name == "clickhouse.dsn" and isinstance(self.value, str) and "@" in self.value:
            scheme, _, rest = self.value.partition("://")
            return f"{scheme}://{MASK}@{rest.rpartition('@')[2]}"
        return str(self.value) if isinstance(self.value, Path) else self.value


def config_file() -> Path:
    """The file that settings are read from, whether it exists or not."""
    return Path(os.environ.get(CONFIG_ENV, DEFAULT_CONFIG))


def load_settings() -> Settings:
    """Read the settings.  Raises SettingsFault that names each wrong one and what set it."""
    if CONFIG_ENV in os.environ and not config_file().exists():
        raise SettingsFault(f"{CONFIG_ENV} = {os.environ[CONFIG_ENV]}: no such file")
    known = variables()
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name != CONFIG_ENV and not _belongs(name, known):
            near = difflib.get_close_matches(name, known, n=1, cutoff=_TYPO)
            if near:
                raise SettingsFault(f"{name} is no setting; did you mean {near[0]}?")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsFault("; ".join(_words(one) for one in error.errors())) from None
    except SettingsError as error:
        raise SettingsFault(f"{error}; a value below it is set as {PREFIX}SECTION__NAME") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsFault(f"{config_file()} is not TOML: {error}") from None


def leaves(settings: Settings) -> list[Leaf]:
    """Each value of the tree and where it came from."""
    file = config_file()
    in_file = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found: list[Leaf] = []
    for path, value in _walk(settings):
        variable = _variable(path)
        origin: Origin = "file" if _holds(in_file, path) else "default"
        if variable in os.environ or PREFIX + path[0].upper() in os.environ:
            origin = "environment"
        found.append(Leaf(name=".".join(path), variable=variable, value=value, origin=origin))
    return found


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with exactly these settings: what a child needs to have the same.

    The file is left out of it (`EVENPOST_CONFIG` names nothing), as its values are in the variables already.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    told = {_variable(path): _text(value) for path, value in _walk(settings) if value is not None}
    return kept | told | {CONFIG_ENV: os.devnull}


def variables() -> frozenset[str]:
    """The name of every variable that sets a value."""
    return frozenset(_variable(path) for path, _ in _walk(Settings.model_construct()))


def _walk(model: BaseModel, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _walk(value, (*above, name))
        else:
            yield (*above, name), value


def _variable(path: tuple[str, ...]) -> str:
    return PREFIX + "__".join(path).upper()


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, Mapping):
        value = {name: one.get_secret_value() if isinstance(one, SecretStr) else one for name, one in value.items()}
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _holds(tree: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return False
        tree = tree[name]
    return True


def _belongs(name: str, known: frozenset[str]) -> bool:
    """A value's own variable, a section given as JSON, or an entry below a mapping such as `providers`."""
    name = name.upper()
    return any(one == name or one.startswith(f"{name}__") or name.startswith(f"{one}__") for one in known)


def _words(error: Any) -> str:
    path = tuple(str(part) for part in error["loc"])
    variable = _variable(path)
    source = variable if variable in os.environ else str(config_file())
    if error["type"] == "extra_forbidden":
        return f"{'.'.join(path)} is no setting (from {source}); `evenpost config show` lists them"
    secret = path[0] == "secrets" or path[-1] == "sasl_password"
    value = MASK if secret else repr(error["input"])
    return f"{'.'.join(path)} = {value}: {error['msg']} (from {source})"
