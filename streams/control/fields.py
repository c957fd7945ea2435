"""One table of a TOML file into values, or an error that names table, field, value and fix.

A `Field` says how one value is read and what it must be, in words; `read` takes a table's fields in turn.  Where a
table stands over another (an operator's over ours), its fields replace those.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from streams.control.errors import RuleFault
from streams.control.patterns import compiled

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field; `read` raises ValueError, TypeError or re.error for a value that is not as `must` says."""

    name: str
    read: Callable[[Any], Any]
    must: str
    needed: bool = True


def read(source: str, table: str, raw: Any, fields: Sequence[Field]) -> dict[str, Any]:
    """The table's values by field; those that are not needed and not there are left out.  Raises RuleFault."""
    if not isinstance(raw, Mapping):
        raise RuleFault(source, table, "(the table)", raw, "must be a table of fields")
    names = [field.name for field in fields]
    for name, value in raw.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            fix = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise RuleFault(source, table, name, value, f"no such field; {fix}")
    values: dict[str, Any] = {}
    for field in fields:
        if field.name in raw:
            try:
                values[field.name] = field.read(raw[field.name])
            except (ValueError, TypeError, re.error) as error:
                why = f" ({error})" if isinstance(error, re.error) else ""
                raise RuleFault(source, table, field.name, raw[field.name], f"must be {field.must}{why}") from None
        elif field.needed:
            raise RuleFault(source, table, field.name, "nothing", f"is needed: it must be {field.must}")
    return values


def whole(name: str, low: int, high: int, *, needed: bool = True) -> Field:
    """A whole number of low to high."""

    def parsed(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return Field(name=name, read=parsed, must=f"a whole number of {low:,} to {high:,}", needed=needed)


def number(name: str, low: float, high: float, *, needed: bool = True) -> Field:
    """A number above low, up to high."""

    def parsed(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value <= high:
            raise ValueError
        return float(value)

    return Field(name=name, read=parsed, must=f"a number above {low:g}, up to {high:g}", needed=needed)


def duration(name: str, low: timedelta, high: timedelta, *, needed: bool = True) -> Field:
    """How long, such as "10m"."""

    def parsed(value: Any) -> timedelta:
        found = _DURATION.fullmatch(value)
        if found is None:
            raise ValueError
        span = timedelta(**{_UNITS[found[2]]: int(found[1])})
        if not low <= span <= high:
            raise ValueError
        return span

    return Field(
        name=name, read=parsed, must=f'a time such as "30s", "10m", "12h" or "3d", of {low} to {high}', needed=needed
    )


def choice(name: str, words: Sequence[str], *, needed: bool = True) -> Field:
    """One of these words."""

    def parsed(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Field(name=name, read=parsed, must=f"one of {', '.join(words)}", needed=needed)


def names(name: str, known: Sequence[str] | None = None) -> Field:
    """A list of names, none of them empty; of `known` ones, if given."""

    def parsed(value: Any) -> tuple[str, ...]:
        texts = _texts(value)
        if known is not None and not set(texts) <= set(known):
            raise ValueError
        return texts

    must = 'a list of names, such as ["gmail"]' if known is None else f"a list of some of {', '.join(sorted(known))}"
    return Field(name=name, read=parsed, must=must, needed=False)


def patterns(name: str) -> Field:
    """A list of regular expressions, any case; none of them matches the empty text, or it would match everything."""
    must = (
        "a list of regular expressions without look-around and back-references, none of which matches an empty reply, "
        "such as ['block(ed)? ?list']"
    )
    return Field(name=name, read=lambda value: compiled(_texts(value)), must=must, needed=False)


def flag(name: str) -> Field:
    """`true` or `false`."""

    def parsed(value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError
        return value

    return Field(name=name, read=parsed, must="true or false", needed=False)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
        raise ValueError
    return tuple(value)
