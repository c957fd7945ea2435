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
_LAST_TAG: Final = re.compile(r"<(/?(?:table|tbody|thead|tfoot|tr|td|th)\b)", re.IGNORECASE)
_FRAMES: Final = dict.fromkeys(
    ("table", "tbody", "thead", "tfoot", "/tbody", "/thead", "/tr"), "<tr><td>{}</td></tr>"
) | dict.fromkeys(("tr", "/td", "/th"), "<td>{}</td>")
_END: Final = re.compile(r"\{%[-+]?\s*end")
_SAFE: Final = re.compile(r"\|\s*safe\b")


def convert(html: str) -> str:
    """HTML as text: links as `[text](address)`, one blank line at most, no padding of layout tables."""
    lines = [_BLANKS.sub("  ", line).strip() for line in get_text(html, _CONFIG).splitlines()]
    text = _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
    return f"{text}\n" if text else ""


def derive(html: str) -> str | None:
    """A text template from an HTML template, or None where only rendered HTML can be converted."""
    prefix = f"ep{digest(html)[:12]}n"  # no author writes it
    sources: list[str] = []
    statements: list[bool] = []
    pieces, at, last_tag = [], 0, ""
    for mark in marks(html):
        source = html[mark.start : mark.end]
        if mark.kind == "raw" or (mark.kind == "expression" and _SAFE.search(source)):
            return None
        pieces.append(html[at : mark.start])
        # Text between a table's rows or a row's cells is dropped: a statement there gets a row or cell of its own.
        last_tag = (_LAST_TAG.findall(pieces[-1]) or [last_tag])[-1].lower()
        if mark.kind != "comment":
            frame = _FRAMES.get(last_tag, "{}") if mark.kind == "statement" else "{}"
            pieces.append(frame.format(f"{prefix}{len(sources)}z"))
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
