"""An operator's regular expressions over receivers' words, in time that grows with the words alone.

Receivers choose the words and operators the expressions: of `(a+)+$` Python's own engine makes years of thirty letters,
and CONTROL would lease nothing meanwhile.  RE2 goes through the text once, and refuses what can't be done so
(look-around, back-references).  docs/adr/0017.

1. Each expression is compiled by itself, so that an error names it; one that matches the empty text matches all.
2. Together they are one automaton: a reply is gone through once, however many there are.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

import re2

__all__ = ["SEARCHED", "Pattern", "compiled"]

# Characters of a reply that are looked at: what a sender keeps (streams.delivery.replies.MAX_TEXT), in any record.
SEARCHED: Final = 500


class Pattern(Protocol):
    """Something to look for."""

    def search(self, text: str, /) -> object | None:
        """Where it stands in the text; None: nowhere."""


def compiled(texts: Sequence[str]) -> Pattern:
    """What finds any of these, in any case.

    Raises re.error where one is none; ValueError where one matches the empty text.
    """
    for text in texts:
        if _one(text).search("") is not None:
            raise ValueError(text)
    return _one("|".join(f"(?:{text})" for text in texts))


def _one(text: str) -> Pattern:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False  # else to stderr, beside the error that is raised
    try:
        found: Pattern = re2.compile(text, options)
    except re2.error as error:
        (why,) = error.args
        raise re.error(why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)) from None
    return found
