"""What is generated from the contract: true to the structs, never stale, sound in itself."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from schemas import asyncapi, topics
from schemas.contract import events, schemas, upstream_events
from schemas.events.deliveries import FINAL_TYPES, MEANINGS, DeliveryType, FinalType
from schemas.generate import HERE, documents, drift, load_examples, main, write
from streams.runtime.settings import KafkaSettings


def document() -> dict[str, Any]:
    """The AsyncAPI document as committed."""
    loaded: dict[str, Any] = json.loads((HERE / "asyncapi.json").read_bytes())
    return loaded


def references(node: Any) -> list[str]:
    """Every `$ref` in a document."""
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def resolve(root: dict[str, Any], reference: str) -> Any:
    """What a local reference points to; KeyError when to nothing."""
    assert reference.startswith("#/")
    node: Any = root
    for step in reference[2:].split("/"):
        node = node[step]
    return node


def test_committed_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m schemas.generate --check` finds nothing to write."""
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_check_names_what_differs(tmp_path: Path) -> None:
    """A file that is missing, edited or stale is named."""
    files = documents(load_examples())
    write(files, tmp_path)
    assert drift(files, tmp_path) == []
    (tmp_path / "schemas/json/send.schema.json").unlink()
    (tmp_path / "docs/topics.md").write_text("edited")
    (tmp_path / "schemas/json/letter.schema.json").write_text("{}")
    assert drift(files, tmp_path) == [
        "schemas/json/send.schema.json: is missing",
        "docs/topics.md: differs",
        "schemas/json/letter.schema.json: no such event any more",
    ]


def test_the_same_contract_gives_the_same_bytes() -> None:
    """Nothing generated depends on a hash seed or the time."""
    assert documents(load_examples()) == documents(load_examples())


@pytest.mark.parametrize("name", events())
def test_each_schema_is_a_schema(name: str) -> None:
    """Each is valid 2020-12, allows unknown fields, and its references resolve within it."""
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert "additionalProperties" not in schema
    for reference in references(schema):
        assert resolve(schema, reference)["type"] == "object"


def test_each_topic_is_a_channel() -> None:
    """Every topic has its channel, with address, key, partitions and configuration as declared."""
    channels = document()["channels"]
    assert list(channels) == [topic.name for topic in topics.TOPICS]
    for topic in topics.TOPICS:
        kafka = channels[topic.name]["bindings"]["kafka"]
        assert channels[topic.name]["address"] == kafka["topic"] == topic.name
        assert kafka["partitions"] == topic.partitions(gate=12, slots=64)
        assert f"Key: {topic.key}." in channels[topic.name]["description"]
        cleanup = ",".join(kafka["topicConfiguration"]["cleanup.policy"])
        assert cleanup == topic.config()["cleanup.policy"]
        assert str(kafka["topicConfiguration"].get("retention.ms")) == topic.config().get("retention.ms", "None")
        assert len(channels[topic.name]["messages"]) == len(topic.events)


def test_default_partitions_are_those_of_the_settings() -> None:
    """The document's partitions are those that a deployment gets by default."""
    assert KafkaSettings().gate_partitions == asyncapi.GATE_PARTITIONS
    assert KafkaSettings().slots == asyncapi.SLOTS


def test_every_reference_resolves() -> None:
    """No `$ref` of the AsyncAPI document points to nothing."""
    whole = document()
    found = references(whole)
    assert len(found) > len(topics.TOPICS)
    for reference in found:
        assert isinstance(resolve(whole, reference), dict), reference


def test_the_document_has_what_asyncapi_requires() -> None:
    """Version, info, operations with an action and a channel of each writer, messages with payload and examples."""
    whole = document()
    assert whole["asyncapi"] == "3.0.0"
    assert whole["info"]["title"]
    assert whole["info"]["version"]
    for name, operation in whole["operations"].items():
        owner, _, topic = name.partition(".")
        assert operation["action"] == ("receive" if owner == "upstream" else "send")
        assert operation["channel"] == {"$ref": f"#/channels/{topic}"}
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"#/channels/{topic}/messages/")
    assert len(whole["operations"]) == sum(len(topic.owner.split(",")) for topic in topics.TOPICS)
    assert whole["components"]["messages"].keys() == events().keys()
    for message in whole["components"]["messages"].values():
        assert message["payload"]["$ref"] == f"#/components/schemas/{message['title']}"
        assert message["examples"]


def test_upstream_writes_five_events() -> None:
    """Issue 4's five; all others are ours."""
    assert upstream_events() == {"tenant", "egress", "campaign", "recipient", "suppression-request"}


def test_each_delivery_type_has_a_meaning() -> None:
    """The documented enumeration is the declared one, the final ones first."""
    assert set(MEANINGS) == {value for part in get_args(DeliveryType) for value in (get_args(part) or (part,))}
    assert set(list(MEANINGS)[: len(FINAL_TYPES)]) == set(get_args(FinalType))
