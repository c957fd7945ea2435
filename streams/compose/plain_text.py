"""A text part from HTML, for mail whose author wrote none.

Converting costs 6 ms for 24 KB - twenty signatures' worth - so it is done once, on the template, where that is sure:
each mark becomes a word, the words must come out in the order of the statements, and become marks again.  Where it is
not (a statement that vanished with its tag, `|safe`, raw blocks), `derive` says None and the sender converts each
person's rendered HTML instead.
"""

import re
from itertools import accumulate
from typing import Final

from inscriptis import get_text
from inscriptis.model.config import ParserConfig

from schemas.ids import digest
from streams.compose.markup import marks

_CONFIG: Final = ParserConfig(display_links=True)
_BLANKS: Final = re.compile(r"[ \t\xa0]{2,}")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
# inscriptis pads each cell to its column: one long value in a table of 20,000 rows is a gigabyte.  In mail tables are
# mostly layout, so rows become lines and cells words; statements between rows stay where they are, too.
_TABLE: Final = re.compile(r"<(/?)(table|thead|tbody|tfoot|tr|td|th)\b", re.IGNORECASE)
_CELLS: Final = frozenset({"td", "th"})
_END: Final = re.compile(r"\{%[-+]?\s*end")
_SAFE: Final = re.compile(r"\|\s*safe\b")


def convert(html: str) -> str:
    """HTML as text: links as `[text](address)`, one blank line at most, no padding of layout tables."""
    flat = _TABLE.sub(lambda tag: f" <{tag[1]}{'span' if tag[2].lower() in _CELLS else 'div'}", html)
    lines = [_BLANKS.sub(" ", line).strip() for line in get_text(flat, _CONFIG).splitlines()]
    text = _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
    return f"{text}\n" if text else ""


def derive(html: str) -> str | None:
    """A text template from an HTML template, or None where only rendered HTML can be converted."""
    prefix = f"ep{digest(html)[:12]}n"  # no author writes it
    sources: list[str] = []
    statements: list[bool] = []
    pieces, at = [], 0
    for mark in marks(html):
        source = html[mark.start : mark.end]
        if mark.kind == "raw" or (mark.kind == "expression" and _SAFE.search(source)):
            return None
        pieces.append(html[at : mark.start])
        if mark.kind != "comment":
            pieces.append(f"{prefix}{len(sources)}z")
            sources.append(source)
            statements.append(mark.kind == "statement")
        at = mark.end
    text = convert("".join(pieces) + html[at:])
    if any(brace in text for brace in ("{{", "{%", "{#")):
        return None
    word = re.compile(f"{prefix}(\\d+)z")
    order = [int(match[1]) for match in word.finditer(text)]
    if [number for number in order if statements[number]] != [n for n, is_one in enumerate(statements) if is_one]:
        return None
    # A value may change places with its neighbour (a link's text and address), never cross a statement.
    before = [0, *accumulate(statements)]
    passed = 0
    for number in order:
        if not statements[number] and before[number] != passed:
            return None
        passed += statements[number]
    # A line that only opens a loop would leave an empty line for each pass; one that ends it closes the line before.
    alone = re.compile(f"^((?:{prefix}\\d+z *)+)(\\n+)", re.MULTILINE)

    def close_up(line: re.Match[str]) -> str:
        numbers = [int(match[1]) for match in word.finditer(line[1])]
        if not all(statements[number] for number in numbers):
            return line[0]
        ends = _END.match(sources[numbers[-1]]) is not None
        return line[1].rstrip() + ("\n" if ends and len(line[2]) > 1 else "")

    text = alone.sub(close_up, text)
    return word.sub(lambda match: sources[int(match[1])], text)
