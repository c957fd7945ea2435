"""What a field of a struct wants to be, in words for people: the words of an enumeration, or what its schema says.

msgspec's own words tell a pattern; who wrote `8:00` is helped more by `HH:MM`.
"""

from collections.abc import Iterable

import msgspec
from msgspec import inspect


def meaning(kind: type[msgspec.Struct], steps: Iterable[str]) -> str:
    """Of the field that these names lead to (an index or a key of a dict is any other step); empty where none says."""
    found: inspect.Type = inspect.type_info(kind)
    said = ""
    for step in steps:
        found, _ = _plain(found)
        match found:
            case inspect.StructType():
                found, said = _plain(next(field.type for field in found.fields if field.encode_name == step))
            case inspect.VarTupleType():
                found, said = _plain(found.item_type)
            case inspect.DictType():
                found, said = _plain(found.value_type)
            case _:
                return ""
    return f"one of {', '.join(map(str, found.values))}" if isinstance(found, inspect.LiteralType) else said


def _plain(found: inspect.Type) -> tuple[inspect.Type, str]:
    """Without what is around it (None as another choice, a description), and the description."""
    if isinstance(found, inspect.UnionType):
        found = next(one for one in found.types if not isinstance(one, inspect.NoneType))
    if isinstance(found, inspect.Metadata):
        return found.type, (found.extra_json_schema or {}).get("description", "")
    return found, ""
