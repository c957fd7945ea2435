"""Operators' patterns: what they find is what Python's engine finds, and no reply takes long."""

from __future__ import annotations

import json
import re
import time
import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.control.patterns import SEARCHED, compiled
from tests.control.builders import CORPUS, a_rule, seen


def test_a_pattern_without_end_in_pythons_engine_is_through_at_once() -> None:
    """Thirty letters would take that one minutes, and each two more four times as long."""
    catastrophic = compiled(["(a+)+$", "(x|xx)*y", r"(\w+\s?)*!"])
    began = time.process_time()
    assert catastrophic.search("550 " + "a" * 100_000 + "\n" + "x" * 100_000 + " b" * 100_000 + "?") is None
    assert time.process_time() - began < 1.0


@given(words=st.text(alphabet="ip 5.7-blocked\nKEN", max_size=40))
def test_together_they_find_what_each_finds(words: str) -> None:
    """Whatever the case; where one of them matches, and nowhere else."""
    texts = [r"\bip\b", "block(ed)? ?list", "^5.7", "ken$|(ked|-){2}"]
    alone = any(re.search(text, words, re.IGNORECASE | re.ASCII) for text in texts)
    assert (compiled(texts).search(words) is not None) is alone


def test_ours_find_in_real_replies_what_pythons_engine_finds() -> None:
    """Every reply of the corpus, every rule that has patterns."""
    rules = tomllib.loads(resources.files("streams.control").joinpath("automation.toml").read_text("utf-8"))["rule"]
    replies = [json.loads(line)["text"] for line in CORPUS.read_text("utf-8").splitlines()]
    found = 0
    for texts in (rule["reply"] for rule in rules.values() if "reply" in rule):
        ours, theirs = compiled(texts), re.compile("|".join(texts), re.IGNORECASE)
        for reply in replies:
            assert (ours.search(reply) is None) is (theirs.search(reply) is None), reply
            found += ours.search(reply) is not None
    assert found > 10


@pytest.mark.parametrize("text", ["(?!x)y", r"(a)\1", "(", "a)(b", "x" * 5 + "{1000}{1000}"])
def test_what_can_not_be_looked_for_in_one_go_is_refused(text: str) -> None:
    """Each by itself, also where the others would close what it opens."""
    with pytest.raises(re.error):
        compiled(["fine", text])


def test_a_pattern_that_matches_nothing_at_all_is_refused() -> None:
    """It would count each delivery."""
    with pytest.raises(ValueError, match="x\\*"):
        compiled(["fine", "x*"])


def test_a_rule_looks_at_what_a_sender_keeps_of_a_reply() -> None:
    """However long a record's reply is: what stands at its front matters."""
    rule = a_rule(reply=["refused"])
    for before, counts in ((SEARCHED - 7, True), (SEARCHED - 6, False)):
        one = seen(type="bounced", class_="policy", reply="x" * before + "refused")
        assert rule.matches(one.type, one.class_, one.provider, one.reply) is counts
