"""Every command explains itself, with an example that can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from streams.operate.cli import app


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command and group below, with its path."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_each_command_has_help_with_an_example_of_itself(path: tuple[str, ...]) -> None:
    """The example begins with the command's own words, and each of its options exists."""
    command = ALL[path]
    _, example, line = (command.help or "").rpartition("Example: ")
    assert example, f"evenpost {' '.join(path)} has no example"
    words = shlex.split(line.strip())
    assert words[: len(path) + 1] == ["evenpost", *path]
    named = {option for parameter in command.params for option in parameter.opts}
    if not hasattr(command, "commands"):
        assert {word for word in words if word.startswith("--")} <= named


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_is_shown(path: tuple[str, ...]) -> None:
    """`--help` of each command ends well."""
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example: evenpost" in " ".join(result.output.split())


def test_every_command_whose_output_is_data_gives_json() -> None:
    """Who scripts never parses a table."""
    staying = {("up",), ("worker",), ("simulate-smtp",), ("demo",)}
    for path, command in ALL.items():
        if not hasattr(command, "commands") and path not in staying:
            assert any("--json" in parameter.opts for parameter in command.params), path
