"""Which changes of an event's JSON Schema break somebody, said in words.

Two promises, by who writes the event:

- Upstream writes: whatever was valid yesterday must still be read today (old events, new reader).
- We write: that too, for topics keep events for days or for ever; and whatever we write tomorrow must be read by
  yesterday's readers, in a rolling upgrade and at an analyst's desk (new events, old reader).

Each comes down to one question: which events that the writer's schema allows does the reader's refuse or lose?

- A field that a reader requires and a writer may leave out; another type, a narrower limit, a value outside the
  reader's enumeration (msgspec refuses it, and a reader that switches on it has no branch for it).
- A known field that is gone: nobody refuses the event, but its meaning is lost.
- Another default: the same bytes would mean something else.

So a new enumeration value breaks an event that we write and not one that upstream writes; a new optional field breaks
neither.  Titles and descriptions are no promise.  Any keyword not known here must stay as it was.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal

Schema = Mapping[str, Any]
Writer = Literal["us", "upstream"]

_WORDS: Final = frozenset({"title", "description", "examples", "$schema", "$id", "$defs"})
_HANDLED: Final = frozenset({
    "$ref", "anyOf", "type", "enum", "properties", "required", "items", "additionalProperties", "default",
    "minimum", "exclusiveMinimum", "minLength", "minItems", "maximum", "exclusiveMaximum", "maxLength", "maxItems",
})  # fmt: skip
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def contract_breaks(
    old: Mapping[str, Schema], new: Mapping[str, Schema], *, upstream: Collection[str] = ()
) -> list[str]:
    """Every break between two sets of schemas by event name; `upstream` names the events that upstream writes."""
    found = [f"{name}: the event is gone" for name in old if name not in new]
    for name in old.keys() & new.keys():
        writer: Writer = "upstream" if name in upstream else "us"
        found += [f"{name}: {text}" for text in breaking_changes(old[name], new[name], written_by=writer)]
    return sorted(found)


def breaking_changes(old_schema: Schema, new_schema: Schema, *, written_by: Writer = "us") -> list[str]:
    """What breaks between two versions of one event's schema, one line each, with the field's path; empty = nothing."""
    backward = _Comparison(old_schema, new_schema, "today's reader, yesterday's event")
    found = list(backward.lost(old_schema, new_schema, "")) + list(backward.refused(old_schema, new_schema, ""))
    if written_by == "us":
        forward = _Comparison(new_schema, old_schema, "yesterday's reader, today's event")
        found += forward.refused(new_schema, old_schema, "")
    return list(dict.fromkeys(found))


class _Comparison:
    """One writer's document against one reader's; knows where each one's `$ref` point."""

    def __init__(self, writer_root: Schema, reader_root: Schema, who: str) -> None:
        self._writer = writer_root
        self._reader = reader_root
        self._who = who

    def lost(self, writer: Schema, reader: Schema, path: str) -> Iterator[str]:
        """Known fields that are gone, and defaults that are others."""
        writer, reader = _resolve(writer, self._writer), _resolve(reader, self._reader)
        theirs = reader.get("properties", {})
        for name, field in writer.get("properties", {}).items():
            here = f"{path}/{name}"
            if name not in theirs:
                yield f"{here}: the field is gone"
                continue
            if "default" in field and "default" in theirs[name] and field["default"] != theirs[name]["default"]:
                yield f"{here}: the default was {field['default']!r} and is {theirs[name]['default']!r}"
            yield from self.lost(field, theirs[name], here)
        if "items" in writer and "items" in reader:
            yield from self.lost(writer["items"], reader["items"], f"{path}[]")
        for mine, other in zip(_structs(writer, self._writer), _structs(reader, self._reader), strict=False):
            yield from self.lost(mine, other, path)

    def refused(self, writer: Schema, reader: Schema, path: str) -> Iterator[str]:
        """What the writer's schema allows and the reader's does not."""
        choices = [_resolve(choice, self._reader) for choice in _choices(reader, self._reader)]
        for mine in _choices(writer, self._writer):
            reasons = [list(self._refused_one(mine, choice, path)) for choice in choices]
            if all(reasons):
                yield from min(reasons, key=len)

    def _refused_one(self, writer: Schema, reader: Schema, path: str) -> Iterator[str]:
        where = path or "/"
        if not _types(writer) <= _types(reader):
            yield f"{where}: {self._who}: {_named(writer)} where {_named(reader)} is read"
            return
        if "enum" in reader:
            more = sorted(str(value) for value in set(writer.get("enum", ("any other",))) - set(reader["enum"]))
            if more:
                yield f"{where}: {self._who}: {', '.join(more)} is no value of the enumeration"
        for keyword in (*_LOWER, *_UPPER):
            if _narrower(keyword, writer.get(keyword), reader.get(keyword)):
                yield f"{where}: {self._who}: {keyword} {reader[keyword]} refuses what {writer.get(keyword)} allows"
        for keyword in sorted((writer.keys() | reader.keys()) - _WORDS - _HANDLED):
            # A reader without the keyword takes anything; a string's values may all be in an enumeration.
            if keyword in reader and writer.get(keyword) != reader[keyword] and "enum" not in writer:
                yield f"{where}: {self._who}: {keyword} {reader[keyword]!r} refuses what {writer.get(keyword)!r} allows"
        yield from self._refused_fields(writer, reader, path)
        if "items" in reader:
            yield from self.refused(writer.get("items", {}), reader["items"], f"{path}[]")

    def _refused_fields(self, writer: Schema, reader: Schema, path: str) -> Iterator[str]:
        for name in reader.get("required", ()):
            if name not in writer.get("required", ()):
                yield f"{path}/{name}: {self._who}: the field may be missing and is required"
        mine = writer.get("properties", {})
        for name, field in reader.get("properties", {}).items():
            if name in mine:
                yield from self.refused(mine[name], field, f"{path}/{name}")
        allowed, theirs = writer.get("additionalProperties", True), reader.get("additionalProperties", True)
        if theirs is False and (allowed is not False or mine.keys() - reader.get("properties", {}).keys()):
            yield f"{path or '/'}: {self._who}: unknown fields are refused"
        elif isinstance(theirs, Mapping):
            yield from self.refused(allowed if isinstance(allowed, Mapping) else {}, theirs, f"{path}/*")


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _choices(schema: Schema, root: Schema) -> list[Schema]:
    """The alternatives of `anyOf`, a type list or an enumeration with null, each without references."""
    schema = _resolve(schema, root)
    if "anyOf" in schema:
        return [choice for one in schema["anyOf"] for choice in _choices(one, root)]
    values = schema.get("enum", ())
    if None in values:
        return [{**schema, "enum": [value for value in values if value is not None]}, {"type": "null"}]
    kinds = schema.get("type")
    return [{**schema, "type": kind} for kind in kinds] if isinstance(kinds, list) else [schema]


def _structs(schema: Schema, root: Schema) -> list[Schema]:
    return [choice for choice in _choices(schema, root) if "properties" in choice] if "anyOf" in schema else []


_JSON_TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_TYPE_OF: Final[dict[type, str]] = {str: "string", bool: "boolean", int: "integer", float: "number"}


def _types(schema: Schema) -> frozenset[str]:
    """The JSON types a schema allows; a number may be an integer."""
    kind = schema.get("type")
    if kind is None and "enum" in schema:
        return frozenset(_TYPE_OF[type(value)] for value in schema["enum"])
    if kind is None:
        return _JSON_TYPES
    return frozenset({"number", "integer"} if kind == "number" else {kind})


def _named(schema: Schema) -> str:
    return str(schema["type"]) if "type" in schema else " or ".join(sorted(_types(schema)))


def _narrower(keyword: str, writer: float | None, reader: float | None) -> bool:
    if reader is None:
        return False
    if writer is None:
        return True
    return reader > writer if keyword in _LOWER else reader < writer
