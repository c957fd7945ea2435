"""AsyncAPI 3.0 of the contract: each topic a channel, each writer's word on it an operation.

Addresses carry no prefix: a deployment puts its own in front (`evenpost.` by default).  Kafka's own facts (key,
partitions, configuration) stand in the Kafka bindings, version 0.5.0.  Operations are said from Evenpost's side:
it receives what upstream writes, and sends the rest.
"""

from collections.abc import Mapping
from typing import Any, Final

from schemas.contract import JsonObject, components, event_name, events, topics_of
from schemas.topics import TOPICS, Topic

# The contract's own version (SemVer): a change that `schemas.compatibility` calls breaking raises the first number.
VERSION: Final = "1.0.0"
BINDING: Final = "0.5.0"

# A deployment's defaults (kafka.gate_partitions, kafka.slots); a test holds them equal to the settings'.
GATE_PARTITIONS: Final = 12
SLOTS: Final = 64

WIDTHS: Final[dict[str, str]] = {
    "one": "1",
    "eight": "8",
    "gate": f"P, the gate's partitions ({GATE_PARTITIONS} by default)",
    "slots": f"N, the slots ({SLOTS} by default)",
}


def document(examples: Mapping[str, Mapping[str, Any]]) -> JsonObject:
    """The whole document; `examples` are payloads by event name and example name."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Evenpost",
            "version": VERSION,
            "description": (
                "Topics and events of Evenpost. Values are JSON in UTF-8; unknown fields are ignored. Records are "
                "placed by murmur2(key) modulo partitions. Topic names carry the deployment's prefix, by default "
                "`evenpost.`."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": dict(_operation(topic, owner) for topic in TOPICS for owner in _owners(topic)),
        "components": {
            "messages": {name: _message(event, examples.get(name, {})) for name, event in events().items()},
            "schemas": components(events().values()),
        },
    }


def _owners(topic: Topic) -> list[str]:
    return [owner.strip() for owner in topic.owner.split(",")]


def _channel(topic: Topic) -> JsonObject:
    config: JsonObject = {"cleanup.policy": ["compact" if topic.compacted else "delete"]}
    if topic.retention_ms is not None:
        config["retention.ms"] = topic.retention_ms
    config["max.message.bytes"] = topic.max_message_bytes
    read = "Read committed." if topic.committed else "Read uncommitted."
    return {
        "address": topic.name,
        "title": topic.name,
        "summary": topic.summary,
        "description": f"Key: {topic.key}. Partitions: {WIDTHS[topic.width]}. Written by: {topic.owner}. {read}",
        "messages": {
            event_name(event): {"$ref": f"#/components/messages/{event_name(event)}"} for event in topic.events
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions(gate=GATE_PARTITIONS, slots=SLOTS),
                "topicConfiguration": config,
                "bindingVersion": BINDING,
            }
        },
    }


def _operation(topic: Topic, owner: str) -> tuple[str, JsonObject]:
    upstream = owner == "upstream"
    return f"{owner.replace(' ', '-')}.{topic.name}", {
        "action": "receive" if upstream else "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"{owner} writes {topic.name}: {topic.summary}",
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{event_name(event)}"} for event in topic.events],
    }


def _message(event: type, examples: Mapping[str, Any]) -> JsonObject:
    (key,) = {topic.key for topic in topics_of(event)}
    message: JsonObject = {
        "name": event_name(event),
        "title": event.__name__,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": BINDING}},
    }
    if examples:
        message["examples"] = [{"name": name, "payload": payload} for name, payload in examples.items()]
    return message
