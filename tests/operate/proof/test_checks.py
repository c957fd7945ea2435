"""What a check is, and how a report shows it."""

from __future__ import annotations

import math
from io import StringIO

import pytest
from rich.console import Console

from streams.operate.proof import tables
from streams.operate.proof.checks import at_least, at_most, named, summary


@pytest.mark.parametrize(("value", "most", "least"), [(2, True, False), (3, True, True), (4, False, True)])
def test_a_check_has_a_direction(value: float, most: bool, least: bool) -> None:
    """At its limit it holds either way."""
    assert at_most("a", value, 3, "").ok is most
    assert at_least("a", value, 3, "").ok is least


def test_a_value_that_is_no_number_never_holds() -> None:
    """A figure that could not be had is no figure within its limit."""
    assert not at_most("a", math.nan, 3, "").ok
    assert not at_least("a", math.nan, 3, "").ok


def test_a_report_shows_the_direction_and_what_failed() -> None:
    """Also in a name with brackets, which rich would take for its own."""
    checks = [at_most("late [s]", 1_234.5, 1_000, "of 3"), at_least("raw: ours / stock", 1.4, 1.35, "")]
    written = StringIO()
    console = Console(width=100, file=written)
    tables.show(console, [], checks)
    late, raw = (line.split() for line in written.getvalue().splitlines() if line.startswith(("✗  late", "✓  raw")))
    assert late[:6] == ["✗", "late", "[s]", "1,234.5", "≤", "1,000"]
    assert raw[:8] == ["✓", "raw:", "ours", "/", "stock", "1.4", "≥", "1.35"]
    assert summary(checks)[0] == "✗ 1 of 2 checks failed"
    assert summary(checks[1:])[0] == "✓ all 1 checks hold"


def test_a_note_names_the_first_differences_and_counts_the_rest() -> None:
    """A run that failed in a thousand places is still one line."""
    assert named([]) == ""
    assert named("abc") == "a; b; c"
    assert named(range(1_000)) == "0; 1; 2; 3; 4; and 995 more"
