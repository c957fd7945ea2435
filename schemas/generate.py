"""Write what follows from the contract: JSON Schema, AsyncAPI 3 and the reference tables in docs/.

    python -m schemas.generate              write
    python -m schemas.generate --check      compare only; exit 1 and name what differs
    python -m schemas.generate --release    write, and make today's schemas the baseline that
                                            `schemas.compatibility` holds later ones to

The same structs give the same bytes: fields stand in the order they are declared in, enumerations sorted.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from schemas import asyncapi
from schemas.contract import event_name, events, schemas
from schemas.events.deliveries import FINAL_TYPES, MEANINGS
from schemas.topics import DAY_MS, TOPICS, Topic

HERE: Final = Path(__file__).resolve().parent
SUFFIX: Final = ".schema.json"
_GENERATED: Final = "<!-- Written by `make schemas` from the structs and topics in schemas/. Edit those. -->\n"


def load_examples(folder: Path = HERE / "examples") -> dict[str, dict[str, Any]]:
    """The committed examples: payloads by event name and example name."""
    return {
        name: {file.stem: json.loads(file.read_bytes()) for file in sorted((folder / name).glob("*.json"))}
        for name in events()
    }


def load_schemas(folder: Path) -> dict[str, Any]:
    """The schemas in a folder by event name."""
    return {file.name.removesuffix(SUFFIX): json.loads(file.read_bytes()) for file in folder.glob(f"*{SUFFIX}")}


def documents(examples: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Every generated file's text by its path below the project's root."""
    files = {f"schemas/json/{name}{SUFFIX}": _json(schema) for name, schema in schemas().items()}
    files["schemas/asyncapi.json"] = _json(asyncapi.document(examples))
    files["docs/topics.md"] = _topics_page()
    files["docs/deliveries.md"] = _deliveries_page()
    return files


def drift(files: Mapping[str, str], root: Path) -> list[str]:
    """What on disk differs from what would be written: one line a file, with what is wrong."""
    found = [
        f"{name}: {'differs' if (root / name).exists() else 'is missing'}"
        for name, text in files.items()
        if not (root / name).exists() or (root / name).read_text("utf-8") != text
    ]
    known = {root / name for name in files}
    stale = sorted(set((root / "schemas/json").glob(f"*{SUFFIX}")) - known)
    return found + [f"{file.relative_to(root)}: no such event any more" for file in stale]


def write(files: Mapping[str, str], root: Path) -> None:
    """Write every file and remove the schemas of events that are gone."""
    for file in (root / "schemas/json").glob(f"*{SUFFIX}"):
        if str(file.relative_to(root)) not in files:
            file.unlink()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")


def release(files: Mapping[str, str], root: Path) -> None:
    """Make today's schemas the baseline."""
    baseline = root / "schemas/baseline"
    baseline.mkdir(parents=True, exist_ok=True)
    for file in baseline.glob(f"*{SUFFIX}"):
        file.unlink()
    for name, text in files.items():
        if name.startswith("schemas/json/"):
            (baseline / Path(name).name).write_text(text, "utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _kept(topic: Topic) -> str:
    return "last of each key" if topic.retention_ms is None else f"{topic.retention_ms // DAY_MS} days"


def _event_links(topic: Topic) -> str:
    names = [event_name(event) for event in topic.events]
    return ", ".join(f"[{name}](../schemas/json/{name}{SUFFIX})" for name in names) or "-"


def _topics_page() -> str:
    lines = [
        _GENERATED,
        "# Topics\n",
        "Names carry the deployment's prefix (`kafka.prefix`, by default `evenpost.`). Values are JSON; unknown fields",
        "are ignored. A record is placed by murmur2(key) modulo partitions, as Java's and aiokafka's producers do.",
        "`evenpost topics apply` creates them. The same as AsyncAPI 3: [asyncapi.json](../schemas/asyncapi.json).\n",
        "| topic | key | partitions | kept | written by | event | what it carries |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{topic.name}` | {topic.key} | {asyncapi.WIDTHS[topic.width]} | {_kept(topic)} | {topic.owner} "
        f"| {_event_links(topic)} | {topic.summary} |"
        for topic in TOPICS
    ]
    return "\n".join(lines) + "\n"


def _deliveries_page() -> str:
    lines = [
        _GENERATED,
        "# What became of a recipient event: `type` of a delivery\n",
        "Every recipient event ends in exactly one final delivery. What comes after it (an open, a complaint, a late",
        "bounce) never changes it. Fields: [delivery](../schemas/json/delivery.schema.json).\n",
        "| type | final | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{name}` | {'yes' if name in FINAL_TYPES else 'no'} | {text} |" for name, text in MEANINGS.items()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description="Write what follows from schemas/.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    mode.add_argument("--release", action="store_true", help="write, and make today's schemas the baseline")
    chosen = parser.parse_args(arguments)
    files = documents(load_examples())
    root = HERE.parent
    if chosen.check:
        different = drift(files, root)
        if different:
            sys.stderr.write("\n".join([*different, "Run `make schemas` and commit the result."]) + "\n")
        return int(bool(different))
    write(files, root)
    if chosen.release:
        release(files, root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
