"""What every command does alike: settings, tables and JSON out, errors as one line with an exit code.

Data go to stdout, words about them to stderr: a pipe gets data alone.  Exit codes: 0 done, 1 not done, 2 not
understood (an option, a file, a setting).
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from streams.operate.errors import OperateError
from streams.runtime.settings import Settings

# Where stdout is no terminal, a table is as wide as its cells: nobody wants a log cut at 80 columns.
_PIPE_WIDTH = 400

JsonFlag = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]


class CommandGroup(TyperGroup):
    """The commands' root: turns each expected error into its line and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except OperateError as error:
            _fail(str(error), error.exit_code)
        except Exception as error:
            if not isinstance(error, _expected()):
                raise
            _fail(str(error), 1)


def _expected() -> tuple[type[Exception], ...]:
    """The errors of the other rooms whose words are meant for the user."""
    from streams.runtime.clickhouse import ClickHouseUnreachableError
    from streams.runtime.embedded import EmbeddedError
    from streams.runtime.errors import RuntimeFault
    from streams.warehouse.errors import WarehouseError

    return (RuntimeFault, EmbeddedError, WarehouseError, ClickHouseUnreachableError)


def _fail(words: str, code: int) -> NoReturn:
    say(f"error: {words}", style="red")
    raise typer.Exit(code)


def settings() -> Settings:
    """The settings as they are.  Raises SettingsFault."""
    from streams.operate.settings_tree import load_settings

    return load_settings()


def cluster() -> Settings:
    """The settings with a broker known.  Raises SettingsFault, NoBrokerError."""
    from streams.runtime.cluster import resolve

    return resolve(settings())


def plain_console(**options: Any) -> Console:
    """A console that prints data as they are: no `[markup]`, no `:emoji:`."""
    return Console(markup=False, emoji=False, highlight=False, **options)


def say(words: str, *, style: str = "") -> None:
    """One line to the person, on stderr."""
    plain_console(stderr=True, soft_wrap=True).print(words, style=style)


def print_json(data: Any) -> None:
    """Data as JSON on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(data, enc_hook=_plain)).decode() + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON for {type(value)}")


def room() -> int:
    """How wide a table may be."""
    return _stdout().width


def _stdout() -> Console:
    console = plain_console()
    return console if console.is_terminal else plain_console(width=_PIPE_WIDTH)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str | None = None,
    whole: Sequence[str] = (),
    blocks: bool = False,
) -> None:
    """Rows as a table on stdout; numbers to the right.

    Args:
        columns: their names.
        rows: a value for each column.
        title: a line above.
        whole: columns whose cells are never broken over lines.
        blocks: whether a table too wide for the terminal becomes a block of `name  value` lines a row.
    """
    rows = [tuple(row) for row in rows]
    console = _stdout()
    if console.is_terminal and blocks and _width(columns, rows) > console.width:
        _print_blocks(console, columns, rows)
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[at], int | float | None) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=name in whole)
    for row in rows:
        table.add_row(*map(_cell, row))
    console.print(table)


def _width(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Terminal columns that the table wants: the widest line of each column, and two between."""
    lines = [(*(_cell(row[at]).splitlines() or [""] for row in rows), [name]) for at, name in enumerate(columns)]
    return sum(max(cell_len(line) for cell in cells for line in cell) + 2 for cells in lines) - 2


def _print_blocks(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A row after the other, each value beside its column's name, as psql's expanded display has it."""
    for number, row in enumerate(rows, 1):
        console.print(f"row {number}", style="bold")
        block = Table(box=None, pad_edge=False, show_header=False)
        block.add_column(no_wrap=True, style="dim")
        block.add_column(overflow="fold")
        for name, value in zip(columns, row, strict=True):
            block.add_row(name, _cell(value))
        console.print(block)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S")
        case _:
            return _harmless(str(value))


def _harmless(text: str) -> str:
    """What moves the cursor, colours or turns the direction of writing (U+202E) is shown by its escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
