"""What automation.toml may say, and what an operator is told of a mistake."""

from datetime import timedelta
from pathlib import Path

import pytest

from streams.control.errors import RuleFault
from streams.control.loading import load
from tests.control.builders import a_rule


def written(tmp_path: Path, text: str) -> Path:
    """An operator's file."""
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_our_own_file_is_whole() -> None:
    """Every rule of ours reads, and stands for a while or is told alone."""
    terms = load(None)
    assert {rule.name for rule in terms.rules} >= {"blocked-ip", "reputation", "spam-content", "dead-addresses"}
    assert all((rule.lasts is None) == (rule.action == "flag") for rule in terms.rules)
    assert (terms.fuse.bounce_rate, terms.fuse.complaint_rate) == (0.05, 0.001)


def test_an_operators_file_replaces_field_by_field_and_adds(tmp_path: Path) -> None:
    """A field of theirs stands over ours, the others stay; a rule of theirs is added; one is switched off."""
    terms = load(
        written(
            tmp_path,
            """
            [rule.blocked-ip]
            count = 7
            [rule.spam-content]
            enabled = false
            [rule.mine]
            scope = "tenant"
            reply = ['too fat']
            count = 2
            within = "30s"
            action = "pause_tenant"
            for = "2d"
            [fuse]
            bounce_rate = 0.1
            """,
        )
    )
    by_name = {rule.name: rule for rule in terms.rules}
    assert by_name["blocked-ip"].count == 7
    assert by_name["blocked-ip"].within == timedelta(minutes=10)
    assert "spam-content" not in by_name
    assert by_name["mine"].lasts == timedelta(days=2)
    assert (terms.fuse.bounce_rate, terms.fuse.bounce_mails) == (0.1, 1000)


MISTAKES = {
    "count = 'three'": "[rule.blocked-ip] count = 'three': must be a whole number of 1 to 1,000",
    "count = true": "[rule.blocked-ip] count = True: must be a whole number",
    "within = '10 min'": "[rule.blocked-ip] within = '10 min': must be a time such as",
    "within = 600": "[rule.blocked-ip] within = 600: must be a time such as",
    "within = '2d'": "[rule.blocked-ip] within = '2d': must be a time such as",
    "action = 'stop'": "[rule.blocked-ip] action = 'stop': must be one of slow_down, suspend",
    "action = 'pause_tenant'": "of scope slot/provider it must be slow_down, suspend, deal_elsewhere or flag",
    "action = 'slow_down'": "[rule.blocked-ip] factor = None: slow_down needs it",
    "factor = 0.5": "[rule.blocked-ip] factor = 0.5: slow_down needs it",
    "action = 'flag'": "[rule.blocked-ip] for = '1h': every action needs it",
    "reply = ['(']": "[rule.blocked-ip] reply = ['(']: must be a list of regular expressions",
    "reply = ['(?!x)y']": "(invalid perl operator: (?!)",
    "reply = ['.*']": "none of which matches an empty reply",
    "classes = ['polcy']": "[rule.blocked-ip] classes = ['polcy']: no such class",
    "types = ['bounce']": "[rule.blocked-ip] types = ['bounce']: must be a list of some of",
    "cuont = 3": "[rule.blocked-ip] cuont = 3: no such field; did you mean count?",
    "share = 1.5": "[rule.blocked-ip] share = 1.5: must be a number above 0, up to 1",
    "scope = 'domain'": "[rule.blocked-ip] scope = 'domain': must be one of slot, slot/provider",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_told_by_file_rule_field_value_and_fix(tmp_path: Path, line: str) -> None:
    """Each wrong field has its own words, with the file in front."""
    path = written(tmp_path, f"[rule.blocked-ip]\n{line}\n")
    with pytest.raises(RuleFault) as told:
        load(path)
    assert str(told.value).startswith(str(path))
    assert MISTAKES[line] in str(told.value)


WRONG_FILES = {
    "[rule.Mine]\nscope = 'slot'\n": "must be of a-z, 0-9 and '-'",
    "[rule.surge]\nscope = 'slot'\n": "surge is a name of ours",
    "[rule.mine]\nscope = 'slot'\n": "[rule.mine] action = 'nothing': is needed: it must be one of",
    "[rules.mine]\n": "[rules] (the table) = 'rules': no such table; there are rule, volumes, surge, fuse",
    "rule = 3\n": "must be a table: [rule]",
    "[rule]\nmine = 3\n": "[rule.mine] (the table) = 3: must be a table of fields",
    "[volumes]\nspan = '7h'\n": "a day must be a whole number of them",
    "[volumes]\ngrace = '2h'\n": "at most a span",
    "[surge]\ndays = 20\n": "less than `kept` of [volumes], which is 15 d",
    "[surge]\ndays = 3\n": "[surge] min_days = 5: at most `days`, which is 3",
    "[fuse]\nfor = '1h'\n": "[fuse] for = '1h': at least as long as `within`",
    "[fuse\n": "mend it there",
}


@pytest.mark.parametrize("text", WRONG_FILES)
def test_a_wrong_file_is_told_in_words(tmp_path: Path, text: str) -> None:
    """Names, tables and figures that don't go together are told as fields are."""
    with pytest.raises(RuleFault) as told:
        load(written(tmp_path, text))
    assert WRONG_FILES[text] in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The setting's path is named with the reason."""
    with pytest.raises(RuleFault, match=r"none\.toml.*can't be read: No such file"):
        load(tmp_path / "none.toml")


def test_a_rule_needs_something_to_match() -> None:
    """Neither classes nor patterns: every refusal would count."""
    with pytest.raises(RuleFault, match="name classes, or patterns in reply, or both"):
        a_rule(classes=None)
