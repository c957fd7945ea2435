"""The table of outcomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operate.simulator.outcomes import ACCEPT, OUTCOMES, foremost, outcome_for

WORDS = st.sampled_from(sorted(OUTCOMES))
AFTER_A_WORD = st.from_regex(r"([0-9._+-][a-z0-9]{0,8})?", fullmatch=True)


@given(WORDS, AFTER_A_WORD)
def test_a_word_chooses_from_local_part_and_domain(word: str, rest: str) -> None:
    """A word at the start of the local part or of the domain, in any case, chooses its outcome."""
    assert outcome_for(f"{word.upper()}{rest}@docomo.example").name == word
    assert outcome_for(f"taro@{word}{rest}.example").name == word


@given(WORDS, WORDS)
def test_the_local_part_goes_before_the_domain(local: str, domain: str) -> None:
    """With a word on both sides the local part's counts."""
    assert outcome_for(f"{local}@{domain}.example").name == local


@pytest.mark.parametrize(
    "address",
    ["taro@docomo.example", "fuller@a.example", "slowik@a.example", "a@dropbox.example", "not-full@a.example"],
)
def test_names_are_no_words(address: str) -> None:
    """A letter after the word, or a word further in, makes an ordinary address."""
    assert outcome_for(address) is ACCEPT


@pytest.mark.parametrize(
    ("address", "name", "tries"),
    [
        ("dropafter3x-taro@a.example", "dropafter", 3),
        ("taro@STALL20X.example", "stall", 20),
        ("greylist2x@a.example", "greylist", 2),
        ("dropafter3-x@a.example", "dropafter", 1),
        ("dropafter3xy@a.example", "dropafter", 1),
    ],
)
def test_a_number_and_an_x_say_how_often(address: str, name: str, tries: int) -> None:
    """Right behind the word, with no letter after them."""
    assert (outcome_for(address).name, outcome_for(address).tries) == (name, tries)


def test_replies_by_try() -> None:
    """Greylisting refuses once, throttling with 421 then 451, and the rest each time, with RFC 3463 codes."""
    greylist, throttle, unknown = OUTCOMES["greylist"], OUTCOMES["throttle"], OUTCOMES["unknown"]
    assert [greylist.applies(tried) for tried in range(3)] == [True, False, False]
    assert [throttle.applies(tried) for tried in range(3)] == [True, True, False]
    assert [(throttle.reply(tried).code, throttle.reply(tried).closes) for tried in (0, 1)] == [
        (421, True),
        (451, False),
    ]
    assert unknown.applies(1000) and unknown.reply(1000).wire() == b"550 5.1.1 user unknown\r\n"


@given(st.lists(WORDS))
def test_one_outcome_decides_for_a_message(words: list[str]) -> None:
    """Of several recipients' outcomes the first in the table's order decides, whatever their order in the message."""
    assert foremost([OUTCOMES[word] for word in words]).name == next((w for w in OUTCOMES if w in words), "accept")
