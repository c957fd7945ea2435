"""Templates that end in bounded time and memory, whoever wrote them and whatever the variables hold.

1. `Template` parses, lets `language` check and wrap the tree, and compiles it.
2. Loops, filters, comparisons and assignments pay a toll by the size of what they go over; `+`, `*`, `~` and the
   filters that make more than they take are bounded before they make it.
3. `render` counts what comes out and stops at the first bound; any error becomes a RenderError by its kind and line,
   since the words of Python's own errors quote the recipient's data.

A missing variable renders empty, and so does null.  Numbers: `{{ "{:,}".format(price) }}`.
"""

import html
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import ChainableUndefined, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.runtime import Context, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from streams.compose import language
from streams.compose.errors import RenderError, TemplateRefusedError


@dataclass(frozen=True, kw_only=True)
class RenderBounds:
    """What one render may spend.  The counts decide; the CPU time is a backstop for what they do not see."""

    steps: int = 100_000  # loop passes, and items that filters went over: a receipt has hundreds
    output_chars: int = 3_000_000  # above the largest template (2 MB) with a person's data in it
    cpu_s: float = 0.5  # a 10 KB mail takes 20 us; a worker must not stall its slots' connections


# One value inside a template, in characters or items: variables are at most 1 MB (a Kafka message).
VALUE_LIMIT: Final = 1_000_000
RANGE_LIMIT: Final = 10_000
# Decimal digits stop being printable at 4,300 in Python; money needs 60 bits.
INTEGER_BITS: Final = 256
# Parsing and compiling cost 30-70 us a token, on CONTROL's loop; real mails have some hundred.
TOKEN_LIMIT: Final = 10_000

# Characters that a render puts out between two looks at what is left: a mail of 10 KB has 200 pieces.
PAID_AT: Final = 4_096

# Unspellable in a template, as language.TOLL is.
_BUDGET: Final = "evenpost budget"
_WIDE: Final = re.compile(r"\d{4}|:[^{}]*\{")
FORMAT_FIELDS: Final = 20  # each repeats an argument of up to 1 MB


class BoundError(Exception):
    """A render that goes past a bound; the words are ours and safe to show."""


class UnfitError(Exception):
    """A value that has no business where it is printed; the words are ours and safe to show."""


class Budget:
    """What is left to one message's renders."""

    def __init__(self, bounds: RenderBounds) -> None:
        self.bounds = bounds
        self.steps = bounds.steps
        self.chars = bounds.output_chars
        self.wall = time.monotonic() + bounds.cpu_s
        self.cpu = time.thread_time() + bounds.cpu_s

    def spend(self, steps: int) -> None:
        """Pay for loop passes or items.  Raises BoundError, as the next two."""
        self.steps -= steps
        if self.steps < 0:
            raise BoundError(f"more than {self.bounds.steps:,} steps")
        self.watch()

    def emit(self, chars: int) -> None:
        """Pay for output."""
        self.chars -= chars
        if self.chars < 0:
            raise BoundError(f"more than {self.bounds.output_chars:,} characters")
        self.watch()

    def watch(self) -> None:
        """The wall clock is cheap to read and only asks whether to look at the CPU clock, which is just."""
        if time.monotonic() > self.wall:
            left = self.cpu - time.thread_time()
            if left <= 0:
                raise BoundError(f"more than {self.bounds.cpu_s} s of CPU")
            self.wall = time.monotonic() + left


@pass_context
def _toll(context: Context, value: Any) -> Any:
    """Charge for a value that is about to be walked, and pass it on."""
    budget: Budget = context.parent[_BUDGET]
    if isinstance(value, str):
        budget.spend(1 + len(value) // 64)
    elif isinstance(value, Sized):
        budget.spend(1 + len(value))
    elif isinstance(value, Iterable):
        # select, reverse and the like are lazy: take them now, so that their length is known.
        value = list(value)
        budget.spend(1 + len(value))
    else:
        budget.spend(1)
    return value


@pass_context
def _element(context: Context, value: Any) -> Any:
    """Charge for what goes into a list that the template writes; a list in it could double at each step."""
    if isinstance(value, Iterable) and not isinstance(value, str | Undefined):
        raise BoundError("a list or object put into another list")
    return _toll(context, value)


class _Namespace(Namespace):
    """Jinja's namespace, which prints as nothing: printing all it holds has no bound."""

    def __repr__(self) -> str:
        return ""


@pass_context
def _concat(context: Context, parts: list[Any]) -> str:
    """`a ~ b`, with the size of the result bounded."""
    texts = [part if isinstance(part, str) else str(part) for part in parts]
    _fits(sum(map(len, texts)))
    joined: str = markup_join(texts) if context.eval_ctx.autoescape else str_join(texts)
    return joined


def _fits(size: int) -> None:
    if size > VALUE_LIMIT:
        raise BoundError(f"a value of more than {VALUE_LIMIT:,} characters or items")


def _range(*args: int) -> range:
    made = range(*args)
    if len(made) > RANGE_LIMIT:
        raise BoundError(f"range() of more than {RANGE_LIMIT:,}")
    return made


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> Any:
    text, old, new = (one if isinstance(one, str) else str(one) for one in (value, old, new))
    found = text.count(old) if count is None else min(count, text.count(old))
    _fits(len(text) + max(found, 0) * len(new))
    return text.replace(old, new, -1 if count is None else count)


def _round(value: Any, precision: int = 0) -> Any:
    return round(value, max(-20, min(precision, 20)))


def _sum(value: Iterable[Any], attribute: str | None = None, start: float = 0) -> Any:
    total = start
    for item in value:
        number = item if attribute is None else item[attribute]
        if not isinstance(number, int | float):
            raise BoundError("sum takes numbers")
        total += number
    return total


def _map(value: Iterable[Any], *, attribute: str) -> list[Any]:
    """One field of each item; naming a filter instead would hide it from the toll."""
    return [item.get(attribute) if isinstance(item, Mapping) else None for item in value]


def _blank_null(value: Any) -> Any:
    return "" if value is None else value


def _one_text(value: Any) -> Any:
    """For a subject: Python's spelling of a list or object is nothing to show to anybody."""
    if isinstance(value, Mapping | list | tuple):
        raise UnfitError(f"a variable holds {'an object' if isinstance(value, Mapping) else 'a list'}, not one value")
    return _blank_null(value)


def _link(value: Any) -> Any:
    """Refuse what begins a link with a scheme that runs code; `|safe` may hold it in character references."""
    if not isinstance(value, str) or value.startswith("http"):  # nearly all; unescaping takes 2 us
        return value
    if language.SCHEME.match(html.unescape(value) if "&" in value else value):
        raise UnfitError("a link that a variable begins with javascript:, vbscript: or data:")
    return value


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox with our lists, bounds and tolls."""

    intercepted_binops = frozenset({"+", "*", "%"})

    def __init__(self, *, autoescape: bool, finalize: Callable[[Any], Any] = _blank_null) -> None:
        super().__init__(
            undefined=ChainableUndefined,
            finalize=finalize,
            autoescape=autoescape,
            keep_trailing_newline=True,
            cache_size=0,
        )
        join, to_json = self.filters["join"], self.filters["tojson"]

        def bounded_join(context: Any, value: Any, d: str = "", attribute: Any = None) -> str:
            items = list(value)
            _fits(len(d) * len(items) + sum(len(one) for one in items if isinstance(one, str)))
            return str(join(context, items, d, attribute))

        bounded_join.jinja_pass_arg = join.jinja_pass_arg  # type: ignore[attr-defined]  # Jinja's own way to mark it

        def plain_json(context: Any, value: Any) -> Any:
            return to_json(context, value)

        plain_json.jinja_pass_arg = to_json.jinja_pass_arg  # type: ignore[attr-defined]  # as above
        self.filters = {name: kept for name, kept in self.filters.items() if name in language.FILTERS}
        self.filters |= {
            "join": bounded_join,
            "tojson": plain_json,
            "replace": _replace,
            "round": _round,
            "sum": _sum,
            "map": _map,
            language.TOLL: _toll,
            language.CONCAT: _concat,
            language.ELEMENT: _element,
            language.LINK: _link,
        }
        self.tests = {name: kept for name, kept in self.tests.items() if name in language.TESTS}
        self.globals = {name: kept for name, kept in self.globals.items() if name in language.FUNCTIONS} | {
            "range": _range,
            "namespace": _Namespace,
        }

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`+`, `*` and `%`, with the size of the result bounded before it is made."""
        if operator == "%" and isinstance(left, str):
            raise BoundError('% on a text: use "{}".format(…)')
        if any(isinstance(one, list | tuple | range) for one in (left, right)):
            raise BoundError(f"{operator} on a list: loop over both instead")
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            _fits(len(left) + len(right))
        if operator == "*":
            for one, times in ((left, right), (right, left)):
                if isinstance(one, str) and isinstance(times, int):
                    _fits(len(one) * times)
            if (
                isinstance(left, int)
                and isinstance(right, int)
                and left.bit_length() + right.bit_length() > INTEGER_BITS
            ):
                raise BoundError(f"an integer of more than {INTEGER_BITS} bits")
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Any:
        """`"…".format(…)` without widths that fill memory: none above 999, none taken from an argument."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None and (_WIDE.search(value.__self__) or value.__self__.count("{") > FORMAT_FIELDS):
            raise BoundError(
                f"format() with more than {FORMAT_FIELDS} fields, or a width above 999 or from an argument"
            )
        return wrapped


_ENVIRONMENTS: Final = {autoescape: _Environment(autoescape=autoescape) for autoescape in (False, True)}
_SUBJECTS: Final = _Environment(autoescape=False, finalize=_one_text)


class Template:
    """A checked template of one field."""

    def __init__(self, field: str, source: str, *, autoescape: bool) -> None:
        """Parse, check, wrap and compile.  Raises TemplateRefusedError."""
        self.field = field
        environment = _SUBJECTS if field == "subject" else _ENVIRONMENTS[autoescape]
        try:
            tree = self._parse(environment, source)
            language.check(field, tree)
            language.wrap(tree)
            if autoescape:
                language.guard(field, tree)
            self._template = environment.from_string(tree)
            # Jinja looks them up through a chain of mappings, name by name, for each render.
            self._template.globals = dict(self._template.globals)
        except TemplateSyntaxError as error:
            reason = error.message or "syntax error"
            if "{{#" in source or "{{/" in source:
                reason += "; {{#each …}} and {{/each}} are Handlebars: write {% for … %} and {% endfor %}"
            raise TemplateRefusedError(field, error.lineno, reason) from None
        except TemplateRefusedError:
            raise
        except (RecursionError, MemoryError, SyntaxError):
            # Python's compiler nests 20 loops, its parser some hundred brackets.
            raise TemplateRefusedError(field, None, "expressions or loops nested too deeply; flatten them") from None
        except Exception as error:  # noqa: BLE001 - whatever Jinja can't compile is no template (G8)
            raise TemplateRefusedError(field, None, f"does not compile: {type(error).__name__}") from None

    def _parse(self, environment: _Environment, source: str) -> nodes.Template:
        for count, _ in enumerate(environment.lex(source), 1):
            if count > TOKEN_LIMIT:
                reason = f"more than {TOKEN_LIMIT:,} template tokens; use fewer placeholders"
                raise TemplateRefusedError(self.field, None, reason)
        return environment.parse(source)

    def render(self, variables: Mapping[str, Any], budget: Budget) -> str:
        """Fill in one person's variables.  Raises RenderError."""
        context = self._template.new_context({**variables, _BUDGET: budget})
        pieces: list[str] = []
        made, add = 0, pieces.append
        try:
            for piece in self._template.root_render_func(context):
                add(piece)
                made += len(piece)
                if made > PAID_AT:
                    budget.emit(made)
                    made = 0
            budget.emit(made)
        except BoundError as error:
            raise RenderError(self.field, f"the template ran away: {error}") from None
        except UnfitError as error:
            raise RenderError(self.field, f"{self._at(error)}{error}") from None
        except SecurityError:
            raise RenderError(self.field, f"{self._at(None)}use of something templates may not touch") from None
        except UndefinedError as error:
            raise RenderError(
                self.field, f"{self._at(error)}a variable that is missing is used in a calculation"
            ) from None
        except Exception as error:  # noqa: BLE001 - variables are anyone's data: no kind of it may stop a worker (G8)
            kind = type(error).__name__
            raise RenderError(self.field, f"{self._at(error)}{kind}: a variable does not fit its use") from None
        return "".join(pieces)

    def _at(self, error: BaseException | None) -> str:
        """`line 7: ` of the template, from the traceback's frames in the compiled template."""
        trace, line = error.__traceback__ if error else None, None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "<template>":
                line = self._template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return f"line {line}: " if line else ""
