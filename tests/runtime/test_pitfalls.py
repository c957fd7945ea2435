"""The table of Faust's pitfalls (docs/adr/0005) names each of them, and only tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

TABLE = Path(__file__).parents[2] / "docs" / "adr" / "0005-faust-pitfalls.md"
HERE = Path(__file__).parent
RUNTIME = Path(__file__).parents[2] / "streams" / "runtime"
NUMBERS = {str(number) for number in range(1, 23)} | {"17a"}


def rows() -> list[list[str]]:
    """The cells of each pitfall."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| (\d+a?|-) \|", line)
    ]


def missing(cell: str) -> list[str]:
    """The named tests that are not where the cell says; a cell without any is itself missing."""
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", cell)
    if not named:
        return [f"no test in {cell!r}"]
    return [
        f"{path}::{test}"
        for path, test in named
        if not re.search(rf"^(async )?def {test}\(", (HERE / path).read_text(encoding="utf-8"), re.MULTILINE)
    ]


def test_each_number_is_there_once() -> None:
    """1 to 22, and 17a."""
    numbered = [row[0] for row in rows() if row[0] != "-"]
    assert len(numbered) == len(set(numbered))
    assert set(numbered) == NUMBERS


def test_each_names_a_test_of_the_stock_behaviour_and_one_of_ours() -> None:
    """And each of these tests exists where the table says."""
    assert [gone for row in rows() for cell in (row[3], row[4]) for gone in missing(cell)] == []
    assert all("stock/" in row[3] and "stock/" not in row[4] for row in rows())


def test_each_file_that_puts_right_is_there() -> None:
    """The table names files below `streams/runtime`; one that was moved is named where it is now."""
    named = [path for row in rows() for path in re.findall(r"`([\w/]+\.py)`", row[2])]
    assert named
    assert [path for path in named if not (RUNTIME / path).is_file()] == []


def test_none_is_open() -> None:
    """Put right, or why it does not apply."""
    assert all(re.match(r"(put right|does not apply: )", row[5]) for row in rows())
