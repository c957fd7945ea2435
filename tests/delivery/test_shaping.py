"""Configured limits: what is shipped, and what a deployment's file changes."""

from pathlib import Path

import pytest

from streams.delivery.errors import ShapingFileError
from streams.delivery.rollup import is_named
from streams.delivery.shaping import Limits, load
from streams.runtime.errors import RuntimeFault
from streams.spread.providers import PROVIDERS


def test_each_provider_of_the_closed_list_has_limits_and_others_have_none() -> None:
    """Yahoo's 20 messages a connection is a published figure; an unknown host's limits are learned."""
    shipped = load(None)
    for provider in PROVIDERS - {"other"}:
        assert is_named(provider)
        limits = shipped.limits(provider)
        assert limits.connections and limits.messages_per_connection and limits.messages_per_s, provider
    assert shipped.limits("yahoo").messages_per_connection == 20
    assert shipped.limits("other") == shipped.limits("mx:hoster.example") == Limits()


def test_a_deployments_file_names_only_what_differs(tmp_path: Path) -> None:
    """The word none lifts a limit; what is not named stays; a new default holds for who has no figure of its own."""
    file = tmp_path / "shaping.toml"
    file.write_text(
        '[default]\nmessages_per_s = 5\nmessages_per_day = 1000\n[provider.gmail]\nmessages_per_s = "none"\n'
        '[provider."mx:hoster.example"]\nconnections = 1\nmessages_per_day = "none"\n'
    )
    mine, shipped = load(file), load(None)
    assert mine.limits("other") == Limits(messages_per_s=5, messages_per_day=1000)
    assert mine.limits("gmail").messages_per_s is None
    assert mine.limits("gmail").connections == shipped.limits("gmail").connections
    assert mine.limits("yahoo").messages_per_s == shipped.limits("yahoo").messages_per_s
    assert mine.limits("yahoo").messages_per_day == 1000
    assert mine.limits("mx:hoster.example") == Limits(connections=1, messages_per_s=5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[provider.gmail]\nmessages_per_s = 0\n", r"\[provider\.gmail\] messages_per_s = 0: must be a number above 0"),
        ("[provider.gmail]\nconnections = 1.5\n", r"connections = 1\.5: must be a whole number"),
        ("[default]\nmessages_per_s = nan\n", r"\[default\] messages_per_s = nan"),
        ("[default]\nmessages_per_s = inf\n", r'messages_per_s = inf: "none" lifts a limit'),
        ("[provider]\ngmail = 3\n", r"\[provider\.gmail\] = 3: must be a table"),
        ("default = 1\n", "default = 1: must be a table"),
        ("[provider.gmail]\nconections = 3\n", "conections"),
        ("[gmail]\nconnections = 3\n", "gmail"),
        ("connections = = 1\n", "line 1"),
    ],
)
def test_a_file_that_does_not_read_says_where_and_how_it_should(tmp_path: Path, text: str, told: str) -> None:
    """The file, the field, and the form; a worker ends with these words."""
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ShapingFileError, match=told) as caught:
        load(file)
    assert isinstance(caught.value, RuntimeFault)
    assert "mine.toml" in str(caught.value)
    assert "messages_per_day" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the setting's name."""
    with pytest.raises(ShapingFileError, match=r"smtp\.shaping .*absent\.toml"):
        load(tmp_path / "absent.toml")


def test_each_limit_says_which_file_and_table_it_stands_in(tmp_path: Path) -> None:
    """The deployment's table, the shipped one, a default, or none."""
    file = tmp_path / "mine.toml"
    file.write_text("[default]\nconnections = 3\n[provider.gmail]\nconnections = 5\n")
    mine = load(file)
    assert mine.origin("gmail", "connections") == f"{file} [provider.gmail]"
    assert mine.origin("gmail", "messages_per_s") == "shaping.toml [provider.gmail]"
    assert mine.origin("mx:hoster.example", "connections") == f"{file} [default]"
    assert mine.origin("mx:hoster.example", "messages_per_day") == ""
