"""The contract's promise to writers and readers of yesterday: every kind of break is found, and nothing else is."""

import copy
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct, field

from schemas.compatibility import Writer, breaking_changes, contract_breaks
from schemas.contract import schemas, upstream_events
from schemas.generate import HERE, load_schemas

Edit = Callable[[dict[str, Any]], object]


class Part(Struct):
    """A nested struct."""

    name: str
    size: int | None = None


class Event(Struct):
    """An event with one field of each kind that the contract uses."""

    key: str
    count: int
    state: Literal["running", "paused"]
    part: Part
    parts: tuple[Part, ...] = ()
    note: Annotated[str, Meta(max_length=10, pattern="^a")] | None = None
    pace: float = 1.0
    extra: dict[str, int] = field(default_factory=dict)


def schema() -> dict[str, Any]:
    """Event's schema, complete in itself."""
    _, definitions = msgspec.json.schema_components([Event])
    return {**definitions.pop("Event"), "$defs": definitions}


def edited(edit: Edit) -> dict[str, Any]:
    """Event's schema after a change."""
    changed = copy.deepcopy(schema())
    edit(changed)
    return changed


def test_today_breaks_nobody() -> None:
    """Today's schemas keep the promise made by the last release's."""
    baseline = load_schemas(HERE / "baseline")
    assert baseline.keys() >= {"delivery", "recipient"}
    assert contract_breaks(baseline, schemas(), upstream=upstream_events()) == []


def test_a_dropped_event_is_a_break() -> None:
    """An event that no topic carries any more is named."""
    assert contract_breaks({"a": schema(), "b": schema()}, {"a": schema()}) == ["b: the event is gone"]


BOTH: dict[str, tuple[Edit, str]] = {
    "a field is gone": (lambda s: s["properties"].pop("note"), "/note: the field is gone"),
    "a nested field is gone": (lambda s: s["$defs"]["Part"]["properties"].pop("size"), "/part/size: the field is gone"),
    "a type is another": (lambda s: s["properties"].update(count={"type": "string"}), "/count: today's reader"),
    "a field in a list is another": (
        lambda s: s["$defs"]["Part"]["properties"].update(name={"type": "integer"}),
        "/parts[]/name: today's reader",
    ),
    "a value of an enumeration is gone": (
        lambda s: s["properties"]["state"].update(enum=["running"]),
        "/state: today's reader, yesterday's event: paused is no value",
    ),
    "null is no longer allowed": (lambda s: s["properties"].update(note={"type": "string"}), "/note: today's reader"),
    "a limit is narrower": (
        lambda s: s["properties"]["note"]["anyOf"][0].update(maxLength=5),
        "/note: today's reader, yesterday's event: maxLength 5",
    ),
    "a pattern is another": (
        lambda s: s["properties"]["note"]["anyOf"][0].update(pattern="^b"),
        "/note: today's reader, yesterday's event: pattern",
    ),
    "an optional field is required": (lambda s: s["required"].append("pace"), "/pace: today's reader"),
    "a new field is required": (
        lambda s: (s["properties"].update(extra2={"type": "string"}), s["required"].append("extra2")),
        "/extra2: today's reader, yesterday's event: the field may be missing",
    ),
    "a default is another": (lambda s: s["properties"]["pace"].update(default=2.0), "/pace: the default was 1.0"),
    "unknown fields are refused": (lambda s: s.update(additionalProperties=False), "/: today's reader"),
    "a map's values are others": (
        lambda s: s["properties"]["extra"].update(additionalProperties={"type": "string"}),
        "/extra/*: today's reader",
    ),
    "a keyword nobody here knows appears": (lambda s: s["properties"]["key"].update(contentEncoding="x"), "/key: "),
}


@pytest.mark.parametrize("writer", ["us", "upstream"])
@pytest.mark.parametrize("kind", BOTH)
def test_what_breaks_whoever_writes(kind: str, writer: Writer) -> None:
    """A reader of today that refuses or loses an event of yesterday is found, with the field's path."""
    edit, expected = BOTH[kind]
    found = breaking_changes(schema(), edited(edit), written_by=writer)
    assert any(text.startswith(expected) for text in found), found


OURS_ALONE: dict[str, tuple[Edit, str]] = {
    "a new enumeration value": (
        lambda s: s["properties"]["state"]["enum"].append("stopped"),
        "/state: yesterday's reader, today's event: stopped is no value",
    ),
    "a required field is optional": (lambda s: s["required"].remove("count"), "/count: yesterday's reader"),
    "a wider type": (lambda s: s["properties"].update(count={"type": "number"}), "/count: yesterday's reader"),
    "a wider limit": (
        lambda s: s["properties"]["note"]["anyOf"][0].update(maxLength=50),
        "/note: yesterday's reader, today's event: maxLength 10",
    ),
    "null is newly allowed": (
        lambda s: s["properties"].update(key={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "/key: yesterday's reader",
    ),
}


@pytest.mark.parametrize("kind", OURS_ALONE)
def test_what_breaks_only_where_we_write(kind: str) -> None:
    """What widens an event breaks yesterday's readers of what we write, and no upstream that writes as before."""
    edit, expected = OURS_ALONE[kind]
    found = breaking_changes(schema(), edited(edit), written_by="us")
    assert any(text.startswith(expected) for text in found), found
    assert breaking_changes(schema(), edited(edit), written_by="upstream") == []


HARMLESS: dict[str, Edit] = {
    "nothing": lambda s: None,
    "a new optional field": lambda s: s["properties"].update(hint={"type": "string", "default": ""}),
    "a new optional field of a nested struct": lambda s: s["$defs"]["Part"]["properties"].update(
        unit={"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    ),
    "other words": lambda s: s["properties"]["key"].update(description="The key.", title="Key"),
    "the order of an enumeration": lambda s: s["properties"]["state"]["enum"].reverse(),
}


@pytest.mark.parametrize("writer", ["us", "upstream"])
@pytest.mark.parametrize("kind", HARMLESS)
def test_what_breaks_nobody(kind: str, writer: Writer) -> None:
    """An additive, optional field, other words and another order are no breaks."""
    assert breaking_changes(schema(), edited(HARMLESS[kind]), written_by=writer) == []
