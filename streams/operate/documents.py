"""TOML files of people into the contract's structs; every wrong field is named, not the first alone.

1. Read TOML (1.0): a date-time without an offset is refused by the struct, as a time needs its zone.
2. `html_file` and `text_file` of a campaign are paths beside the TOML; their text takes the place of `html` and `text`.
3. Each field is checked by itself; a name that the struct doesn't know is an error too: in a file it is a typo.
4. Then what a schema can't say: `document_checks`.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from schemas.events import Campaign, Egress, Tenant
from streams.operate.document_checks import egress_problems, tenant_problems, unread
from streams.operate.errors import DocumentFault
from streams.operate.field_meaning import meaning

_SHOWN: Final = 60  # characters of a wrong value that an error repeats
_STEP: Final = re.compile(r"\.([^.[]+)|\[([^]]*)\]")  # of a path in msgspec's words; `[...]` is a key of a dict
_FORM: Final = ("Invalid enum value", "Expected `str` matching regex")  # msgspec's words that help nobody
_FILE_FIELDS: Final = {"html_file": "html", "text_file": "text"}

T = TypeVar("T", bound=msgspec.Struct)


def read_campaign(path: Path) -> Campaign:
    """A campaign from its TOML, with the files that it names.  Raises DocumentFault."""
    data = _read(path)
    problems = [problem for name in _FILE_FIELDS if name in data for problem in _inline(path, data, name)]
    if not problems and data.get("html") is None and data.get("text") is None:
        problems.append("html_file and text_file are missing: name one of them, or give html or text")
    return _build(path, Campaign, data, problems)


def read_tenant(path: Path) -> Tenant:
    """A tenant from its TOML.  Raises DocumentFault."""
    tenant = _build(path, Tenant, _read(path), [])
    if problems := tenant_problems(tenant):
        raise DocumentFault(path, problems)
    return tenant


def read_egress(path: Path) -> list[Egress]:
    """Slots from a TOML of `[[egress]]` tables.  Raises DocumentFault."""
    tables = _read(path).get("egress")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise DocumentFault(path, ["no [[egress]] table: give one for each slot"])
    slots: list[Egress] = []
    problems: list[str] = []
    for table in tables:
        found = problems_of(Egress, table)
        problems += [f"slot {table.get('slot', '?')}: {problem}" for problem in found]
        if not found:
            slots.append(msgspec.convert(table, Egress))
            problems += [f"slot {slots[-1].slot}: {problem}" for problem in egress_problems(slots[-1])]
    doubled = {slot.slot for slot in slots if sum(other.slot == slot.slot for other in slots) > 1}
    problems += [f"slot {slot} stands there twice" for slot in sorted(doubled)]
    if problems:
        raise DocumentFault(path, problems)
    return slots


def problems_of(kind: type[msgspec.Struct], data: Mapping[str, Any]) -> list[str]:
    """What is wrong with each field, in words; empty where the struct can be built."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems = [f"unknown field {name!r}{_near(name, fields)}" for name in data if name not in fields]
    for name, field in fields.items():
        if name not in data:
            if field.required:
                problems.append(f"{name} is missing")
            continue
        try:
            problems += unread(data[name], msgspec.convert(data[name], field.type), name)
        except msgspec.ValidationError as error:
            problems.append(_words(kind, name, data[name], str(error)))
    return problems


def _build(path: Path, kind: type[T], data: dict[str, Any], problems: list[str]) -> T:
    problems += problems_of(kind, data)
    if problems:
        raise DocumentFault(path, problems)
    return msgspec.convert(data, kind)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DocumentFault(path, [f"can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise DocumentFault(path, [f"is not UTF-8 (byte {error.start}): save it as UTF-8"]) from error
    except tomllib.TOMLDecodeError as error:
        raise DocumentFault(path, [f"is not TOML: {error}"]) from error


def _inline(path: Path, data: dict[str, Any], name: str) -> list[str]:
    """Replace a file's name by its text."""
    target, value = _FILE_FIELDS[name], data.pop(name)
    if target in data:
        return [f"{name} and {target} are both given: keep one"]
    if not isinstance(value, str):
        return [f"{name} = {value!r}: expected a path beside {path.name}"]
    try:
        data[target] = (path.parent / value).read_text(encoding="utf-8-sig")
    except OSError as error:
        return [f"{name} = {value!r}: {error.strerror} ({path.parent / value})"]
    except UnicodeDecodeError as error:
        return [f"{name} = {value!r} is not UTF-8 (byte {error.start})"]
    return []


def _words(kind: type[msgspec.Struct], name: str, value: Any, error: str) -> str:
    """`from.address = …: …` out of msgspec's `… - at `$.address``, with the value where it is short enough to tell."""
    reason, _, where = error.partition(" - at `$")
    path = where.rstrip("`")
    steps = [key or index for key, index in _STEP.findall(path)]
    if reason.startswith(_FORM) and (wanted := meaning(kind, (name, *steps))):
        reason = f"expected {wanted}"
    named = (name + path).replace("[...]", "[]")
    if "..." in steps:  # a key of a dict, which is not said
        return f"{named}: {reason}"
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    shown = repr(value)
    return f"{named}: {reason}" if len(shown) > _SHOWN else f"{named} = {shown}: {reason}"


def _near(name: str, fields: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, [*fields, *_FILE_FIELDS], n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
