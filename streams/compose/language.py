"""The language of mail templates: Jinja, cut down to lists.

1. `check` walks the parsed tree: only listed statements, filters, tests, calls and attributes pass.  Macros, includes,
   inheritance and captured blocks are refused: they are the ways to recursion and to doubling.
2. `wrap` puts a toll (`sandbox`) before whatever walks, branches or stores a value, so that a render's budget sees it.
3. `guard` has each value that begins a link looked at, since escaping does not stop `javascript:`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from jinja2 import nodes

from streams.compose.errors import TemplateRefusedError

_ALLOWED: Final[tuple[type[nodes.Node], ...]] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.For,
    nodes.With,
    nodes.Assign,
    nodes.NSRef,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Compare,
    nodes.Operand,
    nodes.Concat,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Neg,
    nodes.Pos,
)
FILTERS: Final = frozenset(
    {
        "abs",
        "capitalize",
        "count",
        "d",
        "default",
        "dictsort",
        "e",
        "escape",
        "filesizeformat",
        "first",
        "float",
        "forceescape",
        "int",
        "items",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "safe",
        "select",
        "selectattr",
        "sort",
        "string",
        "sum",
        "title",
        "tojson",
        "trim",
        "truncate",
        "unique",
        "upper",
        "urlencode",
        "wordcount",
    }
)
TESTS: Final = frozenset(
    {
        "!=",
        "<",
        "<=",
        "==",
        ">",
        ">=",
        "boolean",
        "defined",
        "divisibleby",
        "eq",
        "equalto",
        "even",
        "false",
        "float",
        "ge",
        "greaterthan",
        "gt",
        "integer",
        "iterable",
        "le",
        "lessthan",
        "lower",
        "lt",
        "mapping",
        "ne",
        "none",
        "number",
        "odd",
        "sequence",
        "string",
        "true",
        "undefined",
        "upper",
    }
)
FUNCTIONS: Final = frozenset({"range", "namespace"})
_METHODS: Final = frozenset(
    {
        "items",
        "keys",
        "values",
        "get",
        "cycle",
        "upper",
        "lower",
        "title",
        "capitalize",
        "strip",
        "lstrip",
        "rstrip",
        "startswith",
        "endswith",
        "split",
        "format",
    }
)
# What is as large as the source that spells it.
_LITERALS: Final = (nodes.Const, nodes.List, nodes.Tuple, nodes.Dict)
# Names with a blank can't be spelled in a template: ours alone.
TOLL: Final = "evenpost toll"
CONCAT: Final = "evenpost concat"
ELEMENT: Final = "evenpost element"
LINK: Final = "evenpost link"

_BLANKS: Final = r"[\t\r\n]*"  # browsers read over them inside a scheme, and over any control before it
# What a browser may run, or takes for a page of its own.  Pictures in the mail itself are common, and stay.
SCHEME: Final = re.compile(
    rf"[\x00-\x20]*(?:{_BLANKS.join('javascript')}|{_BLANKS.join('vbscript')}|{_BLANKS.join('data')}){_BLANKS}:"
    r"(?!(?<=data:)image/(?!svg))",
    re.IGNORECASE,
)
_BEGINS_LINK: Final = re.compile(r"""[\s"'](?:href|src|action|formaction|background)\s*=\s*["']?\s*""", re.IGNORECASE)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def check(field: str, tree: nodes.Template) -> None:
    """Refuse what is not on the lists.  Raises TemplateRefusedError with the line."""
    for node in _walk(tree):
        _check(field, node)


def _check(field: str, node: nodes.Node) -> None:

    def refuse(reason: str) -> None:
        raise TemplateRefusedError(field, node.lineno, reason)

    if not isinstance(node, _ALLOWED):
        refuse(f"{_spell(node)} is not part of mail templates; use variables, if, for, set and with")
    match node:
        case nodes.For() if node.recursive:
            refuse("a recursive loop is not part of mail templates; nest two loops")
        case nodes.Filter() if node.name not in FILTERS:
            refuse(f"no filter named {node.name!r}; there are {', '.join(sorted(FILTERS))}")
        case nodes.Test() if node.name not in TESTS:
            refuse(f"no test named {node.name!r}")
        case nodes.Getattr() if node.attr.startswith("_"):
            refuse(f"attribute {node.attr!r} is unsafe: names that start with '_' are closed")
        case nodes.Getitem(arg=nodes.Const(value=str() as name)) if name.startswith("_"):
            refuse(f"attribute {name!r} is unsafe: names that start with '_' are closed")
        case nodes.Call() if not _callable(node.node):
            refuse(f"this call is not part of mail templates; callable are {', '.join(sorted(FUNCTIONS | _METHODS))}")
        case nodes.Call() | nodes.Filter() | nodes.Test() if node.dyn_args or node.dyn_kwargs:
            refuse("* and ** arguments are not part of mail templates")


def _callable(node: nodes.Node) -> bool:
    match node:
        case nodes.Name():
            return node.name in FUNCTIONS
        case nodes.Getattr():
            return node.attr in _METHODS
        case _:
            return False


def _spell(node: nodes.Node) -> str:
    """How the template spells the node: `{% include %}`, `**`."""
    if isinstance(node, nodes.Pow):
        return "**"
    name = {"FromImport": "from", "CallBlock": "call", "FilterBlock": "filter", "AssignBlock": "set … endset"}
    kind = type(node).__name__
    return "{% " + name.get(kind, kind.lower()) + " %}"


def guard(field: str, tree: nodes.Template) -> None:
    """Have what begins a link looked at: here where the template spells it, else at each render.

    Raises TemplateRefusedError.  A scheme that is put together from several values is not seen.
    """
    _guard(field, tree, tree.body, begins=False)


def _guard(field: str, tree: nodes.Template, body: Sequence[nodes.Node], *, begins: bool) -> bool:
    """Whether what follows the body begins a link, if what the body follows does so or not."""
    for node in body:
        match node:
            case nodes.Output():
                for place, piece in enumerate(node.nodes):
                    if isinstance(piece, nodes.TemplateData):
                        begins = _ends_in_link(field, piece, begins=begins)
                    elif begins:
                        node.nodes[place] = _filtered(tree, LINK, piece)
            case nodes.If():
                ends = [_guard(field, tree, part, begins=begins) for part in (node.body, node.elif_, node.else_)]
                begins = any(ends)
            case nodes.For():
                ends = [_guard(field, tree, part, begins=begins) for part in (node.body, node.else_)]
                begins = any(ends)
            case nodes.With():
                begins = _guard(field, tree, node.body, begins=begins)
    return begins


def _ends_in_link(field: str, piece: nodes.TemplateData, *, begins: bool) -> bool:
    text, at = piece.data, 0
    for match in _BEGINS_LINK.finditer(text):
        at = match.end()
        if SCHEME.match(text, at):
            line = piece.lineno + text.count("\n", 0, at)
            raise TemplateRefusedError(field, line, "a link may not begin with javascript:, vbscript: or data:")
        if at == len(text):
            return True
    return begins and not text.strip()


def wrap(tree: nodes.Template) -> None:
    """Put the toll before whatever walks, branches or stores a value, and bound `~`."""

    def filtered(name: str, node: nodes.Node) -> nodes.Filter:
        return _filtered(tree, name, node)

    # Children first: a parent's wrap then takes them as they are to be.
    for node in reversed(list(_walk(tree))):
        for field, value in list(node.iter_fields()):
            if isinstance(value, nodes.Concat):
                setattr(node, field, _joined(value, filtered))
            elif isinstance(value, list):
                setattr(
                    node, field, [_joined(one, filtered) if isinstance(one, nodes.Concat) else one for one in value]
                )
        match node:
            case nodes.For():
                node.iter = filtered(TOLL, node.iter)
            case nodes.If() | nodes.CondExpr():
                node.test = filtered(TOLL, node.test)
            case nodes.List() | nodes.Tuple() if getattr(node, "ctx", "load") == "load":
                node.items = [one if isinstance(one, _LITERALS) else filtered(ELEMENT, one) for one in node.items]
            case nodes.Pair() if not isinstance(node.value, _LITERALS):
                node.value = filtered(ELEMENT, node.value)
            case nodes.Compare() | nodes.Operand():
                node.expr = filtered(TOLL, node.expr)
            case nodes.Assign() | nodes.Filter() | nodes.Test() if node.node is not None:
                node.node = filtered(TOLL, node.node)
            # Walking `loop` for each of its own passes would make every loop quadratic.
            case nodes.Call(node=nodes.Getattr() as method) if method.attr != "cycle":
                method.node = filtered(TOLL, method.node)


def _filtered(tree: nodes.Template, name: str, node: nodes.Node) -> nodes.Filter:
    made = nodes.Filter(cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno)
    made.environment = tree.environment
    return made


def _joined(node: nodes.Concat, filtered: Any) -> nodes.Filter:
    made: nodes.Filter = filtered(CONCAT, nodes.List(node.nodes, lineno=node.lineno))
    return made
