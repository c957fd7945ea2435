"""What a terminal shows: data as they are, names whole, and wide rows as blocks."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from streams.operate.cli import app
from streams.operate.cli.terminal import print_table, say


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns without colours."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("EVENPOST_CONFIG", raising=False)  # `--config` of a test before stays in this process


def test_data_are_neither_markup_nor_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    """A subject or a file may hold anything."""
    words = ":smile: [red]x[/red] [/] \\"
    print_table((words,), [(words,)], title=words)
    say(words)
    shown = capsys.readouterr()
    assert shown.out.count(words) == 3 and shown.err == f"{words}\n"


@pytest.mark.usefixtures("narrow")
def test_rows_too_wide_for_the_terminal_are_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    """A value a line with its name; what fits stays a table, counted in terminal columns, not in characters."""
    print_table(("n", "name"), [(1, "花" * 38)], blocks=True)
    fits = capsys.readouterr().out.splitlines()
    assert fits[0].split() == ["n", "name"] and len(fits) == 2
    print_table(("n", "name"), [(1, "花" * 39), (2, "x")], blocks=True)
    blocks = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in blocks if line[0] in {"row", "n", "name"}] == ["row", "n", "name"] * 2


@pytest.mark.usefixtures("narrow")
def test_config_show_breaks_no_name() -> None:
    """Each variable can be copied from a terminal of 80 columns, where only values are folded."""
    result = CliRunner().invoke(app, ["config", "show"])
    lines = result.output.splitlines()
    assert "EVENPOST_KAFKA__GATE_PARTITIONS" in {word for line in lines for word in line.split()}
    assert max(map(cell_len, lines[1:])) <= 80
    assert "…" not in result.output


def test_what_a_stranger_wrote_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, bells and U+202E in a value are shown, not obeyed; words of any script stay as they are."""
    print_table(("ehlo",), [("\x1b[2Jm0\a\u202e梅",)])
    assert "\\x1b[2Jm0\\x07\\u202e梅" in capsys.readouterr().out
