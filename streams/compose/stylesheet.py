"""CSS inlining that leaves the template alone (many mail programs drop `<style>`).

css-inline parses and rewrites whole documents, which moves a `{% for %}` out of its table and escapes what stands in
an expression.  So it only tells us the styles:

1. Mask the template's marks by text of the same length, number each start tag by an attribute of ours, and take away
   the tag's own `style`.
2. css-inline computes on that copy; links are cut from it, so that nothing is ever loaded, from disk or network.
3. Write the computed style before the tag's own one into the source, whose other bytes stay as they are.

The `<style>` block stays too: media queries live there.  Where a step is in doubt the source is returned unchanged,
which costs looks in some programs and never a mail.
"""

import html
import re
from bisect import bisect_left
from typing import Final

import css_inline
from selectolax.lexbor import LexborHTMLParser

from streams.compose.markup import Mark, marks

# css-inline recurses over the tree and takes the process with it at some depth above 4,000: a tree is never deeper
# than it has tags.  3,000 tags and 100 KB of CSS take a second at worst; real mails have 200-600 and 5-20 KB.
TAG_LIMIT: Final = 3_000
CSS_LIMIT: Final = 100_000
HTML_LIMIT: Final = 400_000

# An open <b> or <a> is opened again in each paragraph that follows (HTML 13.2.4.3): 1,400 of them become a million.
_FORMATTING: Final = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)
_CELLS: Final = frozenset({"td", "th", "caption"})
MISNESTED_LIMIT: Final = 20

_NUMBER: Final = "data-evenpost"
_TAG: Final = re.compile(
    r"""<!--.*?(?:-->|\Z)
      | <(?P<raw>style|script|title|textarea|xmp|noscript)\b.*?(?:</(?P=raw)\s*>|\Z)
      | </(?P<end>[a-z][a-z0-9:-]*+)
      | <(?P<name>[a-z][a-z0-9:-]*+)(?P<rest>(?:"[^"]*"|'[^']*'|[^'">])*+)(?P<close>>|\Z)""",
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
_ATTRIBUTE: Final = re.compile(r"""(?P<name>[^\s=\"'/>]+)(?:\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s"'>]+))?""")


def inline_styles(source: str) -> str:
    """The source with its stylesheet's rules in style attributes, or unchanged where that is not safe."""
    if "<style" not in source.lower() or len(source) > HTML_LIMIT or source.count("<") > 4 * TAG_LIMIT:
        return source
    found = list(marks(source))
    masked = _mask(source, found)
    copy: list[str] = []
    tags: list[_Tag] = []
    nesting = _Nesting()
    css, at = 0, 0
    for match in _TAG.finditer(masked):
        if match["raw"]:
            css += len(match[0]) if match["raw"].lower() == "style" else 0
            if match["raw"].lower() == "style" and _within(match, found):
                return source  # the rules are known only once rendered
            continue
        if match["end"]:
            nesting.close(match["end"].lower())
        if not match["name"]:
            continue
        nesting.open(match["name"].lower())
        if not match["close"]:
            return source
        tag = _Tag(match, source, found)
        copy += [masked[at : match.end("name")], "" if tag.is_link else f' {_NUMBER}="{len(tags)}"', tag.without_style]
        at = match.end("rest")
        tags.append(tag)
    copy.append(masked[at:])
    if nesting.misnested > MISNESTED_LIMIT or len(tags) > TAG_LIMIT or not 0 < css <= CSS_LIMIT:
        return source
    styles = _computed("".join(copy))
    pieces, at = [], 0
    for number, tag in enumerate(tags):
        style = styles.get(str(number))
        if style and not tag.closed:
            pieces += [source[at : tag.start], tag.styled(style)]
            at = tag.end
    pieces.append(source[at:])
    made = "".join(pieces)
    # The same marks in the same order, or nothing.
    same = [source[mark.start : mark.end] for mark in found] == [made[mark.start : mark.end] for mark in marks(made)]
    return made if same else source


def _mask(source: str, found: list[Mark]) -> str:
    """The source with each mark as letters (where it prints) or blanks (where it does not), no byte moved."""
    pieces, at = [], 0
    for mark in found:
        filler = "x" if mark.kind == "expression" else " "
        pieces += [source[at : mark.start], filler * (mark.end - mark.start)]
        at = mark.end
    return "".join(pieces) + source[at:]


def _within(match: re.Match[str], found: list[Mark]) -> list[Mark]:
    """The marks inside a match; `found` is in order."""
    first, last = (bisect_left(found, place, key=lambda mark: mark.start) for place in match.span())
    return found[first:last]


class _Nesting:
    """Counts formatting tags that are open at the end, or closed out of turn or out of their table cell."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._out_of_turn = 0

    def open(self, name: str) -> None:
        """A start tag."""
        if name in _FORMATTING or name in _CELLS:
            self._open.append(name)

    def close(self, name: str) -> None:
        """An end tag."""
        if name not in _FORMATTING and name not in _CELLS:
            return
        if self._open and self._open[-1] == name:
            self._open.pop()
        else:
            self._out_of_turn += name in _FORMATTING

    @property
    def misnested(self) -> int:
        """How many there are."""
        return self._out_of_turn + sum(name in _FORMATTING for name in self._open)


class _Tag:
    """A start tag: where its attributes stand, and its own style."""

    def __init__(self, match: re.Match[str], source: str, found: list[Mark]) -> None:
        self.start, self.end = match.span("rest")
        self.is_link = match["name"].lower() in {"link", "base", "meta"}
        rest = match["rest"]
        self.without_style = "" if self.is_link else rest
        self._source = source[self.start : self.end]
        self._own: tuple[int, int, str] | None = None
        for attribute in _ATTRIBUTE.finditer(rest):
            if attribute["name"].lower() == "style" and self._own is None:
                value = self._source[slice(*attribute.span("value"))] if attribute["value"] else ""
                self._own = (*attribute.span(), value[1:-1] if value[:1] in {'"', "'"} else value)
                self.without_style = rest[: attribute.start()] + " " + rest[attribute.end() :]
        inside = _within(match, found)
        # A statement or a mark in the tag's name makes other tags of it; a quote in its own style is not ours to move.
        self.closed = (
            self.is_link
            or any(mark.kind != "expression" or mark.start <= self.start for mark in inside)
            or (self._own is not None and '"' in self._own[2])
        )

    def styled(self, style: str) -> str:
        """The tag's attributes with the computed style ahead of its own, which wins by coming last."""
        computed = html.escape(style, quote=True)
        if self._own is None:
            return f' style="{computed}"{self._source}'
        start, end, own = self._own
        if not any(sign in style for sign in "'\"("):
            # Mail that was inlined by its author's tools says most of it already.
            said = {_plain(one) for one in own.split(";")}
            computed = ";".join(one for one in computed.split(";") if _plain(one) not in said)
        if not computed:
            return self._source
        joined = f"{computed.rstrip(';')}; {own.strip()}" if own.strip() else computed
        return f'{self._source[:start]}style="{joined}"{self._source[end:]}'


def _plain(declaration: str) -> str:
    """One declaration without blanks, to compare."""
    return "".join(declaration.split()).lower()


def _computed(document: str) -> dict[str, str]:
    """The style that css-inline gives each numbered tag."""
    inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False)
    try:
        tree = LexborHTMLParser(inliner.inline(document))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - a Rust panic is no Exception; the mail goes out with its <style> alone
        return {}
    styles: dict[str, str] = {}
    for node in tree.css(f"[{_NUMBER}]"):
        style = node.attributes.get("style")
        if style:
            styles.setdefault(node.attributes[_NUMBER] or "", style)
    return styles
