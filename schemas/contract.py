"""The contract as data: which events there are, what each is called, who writes it, and its JSON Schema 2020-12.

A schema says nothing of `additionalProperties`, so unknown fields are allowed: a reader ignores what it does not
know.  Formats and limits are those that msgspec enforces when it decodes.
"""

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from schemas.topics import TOPICS, Topic

JsonObject = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def event_name(event: type) -> str:
    """`SuppressionRequest` is `suppression-request`: the name of its schema file and of its examples' folder."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", event.__name__).lower()


def events() -> dict[str, type]:
    """Each event that a topic carries, by name, in the order of the topics."""
    return {event_name(event): event for topic in TOPICS for event in topic.events}


def topics_of(event: type) -> tuple[Topic, ...]:
    """The topics that carry the event."""
    return tuple(topic for topic in TOPICS if event in topic.events)


def upstream_events() -> frozenset[str]:
    """Names of the events that others write and we read."""
    return frozenset(name for name, event in events().items() if topics_of(event)[0].owner == "upstream")


def schemas() -> dict[str, JsonObject]:
    """The JSON Schema of each event by name, complete in itself: nested structs stand under `$defs`."""
    documents: dict[str, JsonObject] = {}
    for name, event in events().items():
        _, definitions = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
        tidy = {key: _tidy(value) for key, value in definitions.items()}
        root = tidy.pop(event.__name__)
        documents[name] = {"$schema": DIALECT, "$id": f"urn:evenpost:event:{name}"} | root
        if tidy:
            documents[name]["$defs"] = tidy
    return documents


def components(found: Iterable[type]) -> JsonObject:
    """The schemas of all events in one namespace, for a document that holds them together."""
    _, definitions = msgspec.json.schema_components(found, ref_template="#/components/schemas/{name}")
    return {key: _tidy(value) for key, value in definitions.items()}


def _tidy(node: Any) -> Any:
    """As JSON would hold it, docstrings without the indentation of the source they stand in."""
    if isinstance(node, dict):
        return {
            key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _tidy(value)
            for key, value in node.items()
        }
    return [_tidy(value) for value in node] if isinstance(node, list | tuple) else node
