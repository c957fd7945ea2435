"""The committed examples: each valid under its schema, read by its struct, and written again as it was."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from schemas.contract import events, schemas
from schemas.events import Delivery
from schemas.events.deliveries import FINAL_TYPES
from schemas.generate import HERE

FILES = sorted((HERE / "examples").glob("*/*.json"))


def validator(event: str) -> Draft202012Validator:
    """The validator of an event's schema, formats included."""
    return Draft202012Validator(schemas()[event], format_checker=Draft202012Validator.FORMAT_CHECKER)


def holds(whole: Any, part: Any) -> bool:
    """Whether each value of `part` stands in `whole`, which may have more fields."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and holds(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def name_of(file: Path) -> str:
    """A test's id."""
    return f"{file.parent.name}/{file.stem}"


def test_every_event_has_an_example() -> None:
    """No event without one, no folder without an event."""
    assert {file.parent.name for file in FILES} == set(events())


def test_every_final_type_has_an_example() -> None:
    """Each way a recipient event can end is shown."""
    found = [msgspec.json.decode(file.read_bytes(), type=Delivery) for file in FILES if file.parent.name == "delivery"]
    assert {one.type for one in found} >= FINAL_TYPES
    assert len({one.event_id for one in found}) == len(found)
    for one in found:
        assert one.final == (one.type in FINAL_TYPES)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_example_round_trips(file: Path) -> None:
    """The schema accepts it, the struct reads it, and what the struct writes says the same and is valid too."""
    event = file.parent.name
    original = json.loads(file.read_bytes())
    validator(event).validate(original)
    decoded: Any = msgspec.json.decode(file.read_bytes(), type=events()[event])
    written = msgspec.json.encode(decoded)
    assert holds(json.loads(written), original)
    validator(event).validate(json.loads(written))
    assert msgspec.json.decode(written, type=events()[event]) == decoded


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_unknown_fields_are_allowed_and_missing_ones_not(file: Path) -> None:
    """Schema and struct agree: a field more is ignored, a required one less is refused."""
    event = file.parent.name
    original = json.loads(file.read_bytes())
    more = original | {"x-upstream-own": {"a": 1}}
    validator(event).validate(more)
    msgspec.json.decode(json.dumps(more), type=events()[event])
    for name in schemas()[event]["required"]:
        less = {key: value for key, value in original.items() if key != name}
        assert not validator(event).is_valid(less)
        with pytest.raises(msgspec.ValidationError, match=name):
            msgspec.json.decode(json.dumps(less), type=events()[event])
