"""The limits of one sending IP at one provider, as configured: shaping.toml, and the deployment's own file over it.

What is learned from a provider's replies is `learned`; what both come to at a moment is `limiter`.
"""

import math
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from streams.delivery.errors import ShapingFileError

__all__ = ["Limits", "Shaping", "load"]

Lifted = Literal["none"]
SHIPPED: Final = "shaping.toml"
_Count = Annotated[int, Meta(ge=1)]
_Rate = Annotated[float, Meta(gt=0)]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one slot may do at one provider; None = no limit here.  Rates by second, days of UTC."""

    connections: int | None = None
    messages_per_connection: int | None = None
    messages_per_s: float | None = None
    messages_per_day: int | None = None


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file; UNSET is what it does not name."""

    connections: _Count | Lifted | msgspec.UnsetType = msgspec.UNSET
    messages_per_connection: _Count | Lifted | msgspec.UnsetType = msgspec.UNSET
    messages_per_s: _Rate | Lifted | msgspec.UnsetType = msgspec.UNSET
    messages_per_day: _Count | Lifted | msgspec.UnsetType = msgspec.UNSET


class _File(msgspec.Struct, frozen=True, kw_only=True):
    default: _Entry = _Entry()
    provider: dict[str, _Entry] = msgspec.field(default_factory=dict)


class Shaping:
    """Limits by provider; who is not named has the default's."""

    def __init__(
        self, default: Limits, named: Mapping[str, Limits], origins: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        """`origins`: file and table by (provider, field); an empty provider is the default."""
        self._default = default
        self._named = dict(named)
        self._origins = dict(origins or {})

    @property
    def named(self) -> tuple[str, ...]:
        """The providers that have limits of their own."""
        return tuple(self._named)

    def limits(self, provider: str) -> Limits:
        """The provider's limits."""
        return self._named.get(provider, self._default)

    def origin(self, provider: str, field: str) -> str:
        """File and table that say this limit of the provider; empty where none does."""
        return self._origins.get((provider, field)) or self._origins.get(("", field), "")


def load(path: Path | None) -> Shaping:
    """The shipped limits, with what `path` says over them.  Raises ShapingFileError."""
    shipped = _read(resources.files(__package__).joinpath(SHIPPED).read_text("utf-8"), SHIPPED)
    files = {SHIPPED: shipped}
    if path is not None:
        try:
            files[str(path)] = _read(path.read_text("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "no UTF-8"
            raise ShapingFileError(str(path), f"can't be read: {reason}") from error
    default: dict[str, Any] = {}
    origins: dict[tuple[str, str], str] = {}
    # What a provider's own table says stands over any default, also one of a later file.
    own: dict[str, dict[str, Any]] = {}
    for name, file in files.items():
        default |= _named(file.default)
        origins |= {("", field): f"{name} [default]" for field in _named(file.default)}
        for provider, entry in file.provider.items():
            own.setdefault(provider, {}).update(_named(entry))
            origins |= {(provider, field): f"{name} [provider.{provider}]" for field in _named(entry)}
    named = {provider: _limits(default | fields) for provider, fields in own.items()}
    return Shaping(_limits(default), named, origins)


_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(_Entry))


def _read(text: str, name: str) -> _File:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ShapingFileError(name, f"is not TOML: {error}") from error
    for table, raw in tables.items():
        if table not in _File.__struct_fields__:
            raise ShapingFileError(name, f"[{table}]: no such table")
        if not isinstance(raw, dict):
            raise ShapingFileError(name, f"{table} = {raw!r}: must be a table")
    named = tables.get("provider", {})
    return _File(
        default=_entry(tables.get("default", {}), name, "default"),
        provider={provider: _entry(raw, name, f"provider.{provider}") for provider, raw in named.items()},
    )


def _entry(raw: Any, name: str, table: str) -> _Entry:
    if not isinstance(raw, dict):
        raise ShapingFileError(name, f"[{table}] = {raw!r}: must be a table")
    for field, value in raw.items():
        if field not in _FIELDS:
            raise ShapingFileError(name, f"[{table}] {field} = {value!r}: no such field")
        try:
            msgspec.convert({field: value}, _Entry)
        except msgspec.ValidationError as error:
            whole = "" if field == "messages_per_s" else "whole "
            raise ShapingFileError(
                name, f'[{table}] {field} = {value!r}: must be a {whole}number above 0, or "none"'
            ) from error
        if value == math.inf:
            raise ShapingFileError(name, f'[{table}] {field} = {value!r}: "none" lifts a limit')
    return msgspec.convert(raw, _Entry)


def _named(entry: _Entry) -> dict[str, Any]:
    return {name: value for name in _FIELDS if (value := getattr(entry, name)) is not msgspec.UNSET}


def _limits(fields: Mapping[str, Any]) -> Limits:
    return Limits(**{name: None if value == "none" else value for name, value in fields.items()})
