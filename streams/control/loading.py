"""automation.toml, and an operator's file over it.

1. Ours is read, then the operator's table by table: a table of theirs replaces ours field by field, a new rule is
   added.
2. Each table is checked; an error names file, table, field, value and fix.  CONTROL does not start with a wrong one.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from streams.control import rules
from streams.control.errors import RuleFault
from streams.control.rules import FuseTerms, Rule, SurgeTerms, VolumeTerms
from streams.delivery.replies import classes

OWN: Final = "automation.toml"
_TABLES: Final = ("rule", "volumes", "surge", "fuse")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """All that automation goes by."""

    rules: tuple[Rule, ...]
    volumes: VolumeTerms
    surge: SurgeTerms
    fuse: FuseTerms


def load(override: Path | None) -> Terms:
    """Read both files.  Raises RuleFault."""
    own = _own()
    theirs = {} if override is None else _read(override)
    source = OWN if override is None else str(override)
    raw_rules: dict[str, tuple[str, Any]] = {name: (OWN, table) for name, table in own["rule"].items()}
    for name, table in theirs.get("rule", {}).items():
        raw_rules[name] = (source, _over(own["rule"].get(name), table))
    known = frozenset(classes())
    found = [rules.rule(where, name, table, known_classes=known) for name, (where, table) in raw_rules.items()]
    volumes = rules.volumes(source, _over(own["volumes"], theirs.get("volumes", {})))
    return Terms(
        rules=tuple(one for one in found if one is not None),
        volumes=volumes,
        surge=rules.surge(source, _over(own["surge"], theirs.get("surge", {})), kept=volumes.kept),
        fuse=rules.fuse(source, _over(own["fuse"], theirs.get("fuse", {}))),
    )


def _over(own: Mapping[str, Any] | None, theirs: Any) -> Any:
    return {**(own or {}), **theirs} if isinstance(theirs, Mapping) else theirs


def _read(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8"
        raise RuleFault(str(path), "(the file)", "control.automation", str(path), f"can't be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise RuleFault(str(path), "(the file)", "TOML", str(error), "mend it there") from None
    for name, table in tables.items():
        if name not in _TABLES:
            raise RuleFault(str(path), name, "(the table)", name, f"no such table; there are {', '.join(_TABLES)}")
        if not isinstance(table, Mapping):
            raise RuleFault(str(path), name, "(the table)", table, f"must be a table: [{name}]")
    return tables


@cache
def _own() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(OWN).read_text("utf-8"))
