"""Tests that share what is costly to set up are in one group."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.groups import IN_WORLD, LONGEST, WORLD, group

ROOT = Path(__file__).parents[2]


def test_who_shares_the_world_is_in_its_group(request: pytest.FixtureRequest) -> None:
    """Of the tests of this run; a file that is missing in IN_WORLD would start a second deployment."""
    sharing = [item.nodeid for item in request.session.items if WORLD in getattr(item, "fixturenames", ())]
    assert {one for one in sharing if one.startswith("tests/e2e/") and group(one) != WORLD} == set()


def test_each_group_that_is_named_is_there() -> None:
    """Files that moved are no groups any more."""
    assert [file for file in (*IN_WORLD, *LONGEST) if file != WORLD and not (ROOT / file).is_file()] == []


def test_a_files_tests_are_a_group() -> None:
    """Classes, parameters and addresses in them make none."""
    ids = ("tests/a/test_b.py::test_c", "tests/a/test_b.py::C::test_d[x@y::z]")
    assert {group(one) for one in ids} == {"tests/a/test_b.py"}
