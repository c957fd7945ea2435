"""What read-only SQL may say: one statement that reads tables, and nothing of files, programs or the net.

The engine's `readonly = 1` refuses writes, DDL, settings and most table functions by itself. What it lets pass
[M, engine 26.9] is refused here, by the statement's tokens (comments, strings and quoted names are read as ClickHouse
reads them):

1. more than one statement; a first word that doesn't read (the engine takes KILL and USE);
2. `INTO OUTFILE`, which the engine writes;
3. `file('…')` as a scalar function, `DESCRIBE TABLE url(…)`: every function that the engine lists as a table function,
   or that reads outside the tables, unless it is in ALLOWED_TABLE_FUNCTIONS.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

import msgspec

__all__ = ["Refused", "Statement", "check"]

FIRST_WORDS = frozenset({"SELECT", "FROM", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"})
ALLOWED_TABLE_FUNCTIONS = frozenset({
    "format", "fuzzjson", "generate_series", "generaterandom", "generateseries", "merge", "null", "numbers",
    "numbers_mt", "primes", "values", "view", "viewexplain", "viewifpermitted", "zeros", "zeros_mt",
})  # fmt: skip
# Scalar functions that leave the tables: a file, a model, a service on the net, a sleep that holds a connection.
REFUSED_FUNCTIONS = frozenset({
    "aiclassify", "aiembed", "aiextract", "aifilter", "aigenerate", "airedact", "aisimilarity", "aitranslate",
    "catboostevaluate", "file", "sleep", "sleepeachrow",
})  # fmt: skip
TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*|\#[!\ ][^\n]*)
  | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<quoted>"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
  | (?P<word>[^\W\d]\w*)
  | (?P<number>\d[\w.]*)
  | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Refused(Exception):
    """A statement that is not read-only; `code` is ClickHouse's error code."""

    def __init__(self, reason: str, *, code: int = 164, name: str = "READONLY") -> None:
        self.code = code
        self.name = name
        super().__init__(reason)


class Statement(msgspec.Struct, frozen=True):
    """A statement that may run: its text without a closing `;`, and the format it names itself."""

    sql: str
    format: str | None


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    end: int

    @property
    def name(self) -> str | None:
        """A bare or quoted name, lower-cased; None for anything else."""
        if self.kind == "word":
            return self.text.lower()
        return self.text[1:-1].lower() if self.kind == "quoted" else None


def check(sql: str, *, table_functions: Collection[str]) -> Statement:
    """The statement to run.

    Args:
        sql: what the client sent.
        table_functions: the engine's own (system.table_functions), lower-cased.

    Raises:
        Refused: with the reason and ClickHouse's code.
    """
    tokens = list(_tokens(sql))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens:
        raise Refused("Empty query", code=62, name="SYNTAX_ERROR")
    if any(token.text == ";" for token in tokens):
        raise Refused("Multi-statements are not allowed: send one statement a request", code=62, name="SYNTAX_ERROR")
    first = next((token for token in tokens if token.text != "("), tokens[0])
    if first.kind != "word" or first.text.upper() not in FIRST_WORDS:
        raise Refused(f"{first.text[:40]}: this port is read-only; it takes {', '.join(sorted(FIRST_WORDS))}")
    for here, following in pairwise(tokens):
        _check_pair(here, following, table_functions)
    return Statement(sql=sql[: tokens[-1].end], format=_format(tokens))


def _check_pair(here: _Token, following: _Token, table_functions: Collection[str]) -> None:
    if here.kind == "word" and here.text.upper() == "INTO" and following.name == "outfile":
        raise Refused("INTO OUTFILE is not allowed: this port is read-only")
    name = here.name
    if name is None or following.text != "(":
        return
    outside = name in table_functions and name not in ALLOWED_TABLE_FUNCTIONS
    if outside or name in REFUSED_FUNCTIONS:
        raise Refused(f"{here.text}(): this port reads the tables alone; no files, programs or addresses")


def _format(tokens: list[_Token]) -> str | None:
    """The name behind the last FORMAT, if the statement ends so (SETTINGS may follow, and is refused by the engine)."""
    for here, following in zip(reversed(tokens[:-1]), reversed(tokens[1:]), strict=True):
        if here.kind == "word" and here.text.upper() == "FORMAT" and following.kind == "word":
            return following.text
        if here.text == ")":
            return None
    return None


def _tokens(sql: str) -> Iterator[_Token]:
    at = 0
    while at < len(sql):
        if sql.startswith("/*", at):
            at = _end_of_comment(sql, at)
            continue
        found = TOKEN.match(sql, at)
        assert found is not None  # noqa: S101 - `sign` takes any character
        at = found.end()
        kind = found.lastgroup or "sign"
        if kind == "tag":
            kind = "heredoc"
        if kind == "sign" and found.group() in {"'", '"', "`"}:
            raise Refused("A quote is not closed", code=62, name="SYNTAX_ERROR")
        if kind != "blank":
            yield _Token(kind=kind, text=found.group(), end=at)


def _end_of_comment(sql: str, start: int) -> int:
    """Comments nest in ClickHouse; an open one is an error, or the rest would be hidden from us."""
    depth, at = 1, start + 2
    while depth:
        opened, closed = sql.find("/*", at), sql.find("*/", at)
        if closed < 0:
            raise Refused("A comment is not closed", code=62, name="SYNTAX_ERROR")
        if 0 <= opened < closed:
            depth, at = depth + 1, opened + 2
        else:
            depth, at = depth - 1, closed + 2
    return at
