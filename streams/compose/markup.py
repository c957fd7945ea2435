"""Where the template's own marks stand in a source, for those who work on the HTML around them.

A source that Jinja has parsed has only closed marks, so that a linear scan finds them all.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

Kind = Literal["expression", "statement", "comment", "raw"]

_MARK: Final = re.compile(
    r"""(?P<comment>\{\#.*?\#\})
      | (?P<raw>\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\})
      | (?P<statement>\{%(?:"(?:\\.|[^"\\])*+"|'(?:\\.|[^'\\])*+'|[^"'])*?%\})
      | (?P<expression>\{\{(?:"(?:\\.|[^"\\])*+"|'(?:\\.|[^'\\])*+'|[^"'])*?\}\})""",
    re.DOTALL | re.VERBOSE,
)


class Mark(NamedTuple):
    """One `{{ … }}`, `{% … %}`, `{# … #}` or raw block."""

    start: int
    end: int
    kind: Kind


def marks(source: str) -> Iterator[Mark]:
    """Each mark of the source, in order."""
    for match in _MARK.finditer(source):
        kind: Kind = match.lastgroup  # type: ignore[assignment]  # the group names are the kinds
        yield Mark(match.start(), match.end(), kind)
