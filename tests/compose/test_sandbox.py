"""The template language: what renders, what is refused, and that nothing runs away."""

import time
from typing import Any

import pytest

from streams.compose.errors import RenderError, TemplateRefusedError
from streams.compose.sandbox import Budget, RenderBounds, Template


def render(source: str, variables: dict[str, Any] | None = None, *, autoescape: bool = False) -> str:
    """One template, one person."""
    return Template("html", source, autoescape=autoescape).render(variables or {}, Budget(RenderBounds()))


@pytest.mark.parametrize(
    ("source", "variables", "expected"),
    [
        ("{{ name }}さん", {"name": "太郎"}, "太郎さん"),
        ("[{{ missing }}{{ a.b.c }}{{ null }}]", {"null": None}, "[]"),
        ("{% for r in rows %}{{ loop.index }}{{ r.n }}{% else %}none{% endfor %}", {"rows": [{"n": "a"}]}, "1a"),
        ("{% for r in rows %}{{ r.n }}{% else %}none{% endfor %}", {}, "none"),
        ("{% for k, v in m.items() %}{{ k ~ '=' ~ (v ~ '!') }}{% endfor %}", {"m": {"a": 1}}, "a=1!"),
        ('{{ "{:,}円".format(price) }}', {"price": 12800}, "12,800円"),
        ("{% for r in rows if r.n > 1 %}{{ r.n }}{{ loop.cycle('a', 'b') }}{% endfor %}", {"rows": [{"n": 2}]}, "2a"),
        (
            "{{ rows|map(attribute='n')|join(', ') }} {{ rows|sum(attribute='n') }}",
            {"rows": [{"n": 1}, {"n": 2}]},
            "1, 2 3",
        ),
        ("{{ 'yes' if a == 1 and b not in [2] else 'no' }}{{ 1.25|round(1) }}", {"a": 1, "b": 3}, "yes1.2"),
        ("{% set ns = namespace(t=0) %}{% for r in [1, 2] %}{% set ns.t = ns.t + r %}{% endfor %}{{ ns.t }}", {}, "3"),
    ],
)
def test_templates_render_as_their_authors_expect(source: str, variables: dict[str, Any], expected: str) -> None:
    """Variables, loops, conditions and listed filters work; what is missing or null renders empty."""
    assert render(source, variables) == expected


def test_html_is_escaped_and_text_is_not() -> None:
    """A variable with markup in it can't become markup of the HTML part, by output or by `~`."""
    hostile = {"name": "<script>&"}
    assert (
        render("{{ name }}{{ '<b>' ~ name }}", hostile, autoescape=True)
        == "&lt;script&gt;&amp;&lt;b&gt;&lt;script&gt;&amp;"
    )
    assert render("{{ name }}", hostile) == "<script>&"


@pytest.mark.parametrize(
    "source",
    [
        "{% set n = namespace() %}{% for i in range(99) %}{% set n.a = {'x': n.a, 'y': n.a} %}{% endfor %}{{ n.a }}",
        "{{ [" + "big, " * 1000 + "1] }}",
        "{{ items + items }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
        "{% for i in range(1000000000) %}{% endfor %}",
        "{{ 'a'*10**9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ ['a'] * 1000000000 }}",
        "{{ 9**9**9 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=1000000000) }}",
        "{{ ('{0}' * 100000).format(big) }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ big|replace('a', big) }}",
        "{{ big|list|join(big) }}",
        "{% for i in range(10000) %}{{ items|sort|length }}{% endfor %}",
        "{% for i in range(10000) %}{% if 'zz' in items %}{% endif %}{% endfor %}",
        "{% for i in range(10000) %}{{ big }}{% endfor %}",
        "{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(n=3) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(100) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% for x in items recursive %}{{ loop(items) }}{% endfor %}",
        "{% set x %}{{ big }}{{ big }}{% endset %}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ 1" + "+1" * 4000 + " }}",
        "{{ a }}" * 100_000,
        "{% if a %}" * 200 + "{% endif %}" * 200,
    ],
    ids=lambda source: source[:60],
)
def test_a_runaway_template_ends_within_a_second(source: str) -> None:
    """Loops, repetition, powers, widths and nesting are refused or stopped, by count and not by luck."""
    variables = {"big": "a" * 900_000, "items": [str(number) for number in range(20_000)]}
    started = time.thread_time()
    with pytest.raises((RenderError, TemplateRefusedError)):
        render(source, variables)
    assert time.thread_time() - started < 1


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ x['__class__'] }}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% block b %}{% endblock %}",
        "{{ x|attr('a') }}",
        "{{ x|random }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ x() }}",
        "{{ x.encode() }}",
        "{{ f(*xs) }}",
        "{{ dict(**xs) }}",
        "{{ xs|map('upper') }}{{ '{0.__class__}'.format(1) }}",
        "{{ self.x() }}",
        "{{ 2 ** 3 }}",
    ],
)
def test_what_is_not_on_the_lists_does_not_pass(source: str) -> None:
    """Attributes, inclusion, chance and calls beyond the lists are refused at compile time or at render."""
    with pytest.raises((TemplateRefusedError, RenderError)):
        render(source, {"x": "a", "xs": {}})


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("a\nb {% for %}", 2, "Expected"),
        ("a\n\n{% endfor %}", 3, "endfor"),
        ("{{ x|nosuch }}", 1, "nosuch"),
        ("a\n{{#each rows}}", 2, "Handlebars"),
        ("\n{% include 'x' %}", 2, "{% include %}"),
    ],
)
def test_a_refusal_names_the_line_and_the_matter(source: str, line: int, word: str) -> None:
    """An author finds the place: field, line, and what is wrong."""
    with pytest.raises(TemplateRefusedError) as caught:
        render(source)
    assert caught.value.line == line
    assert word in str(caught.value)
    assert str(caught.value).startswith(f"html line {line}: ")


@pytest.mark.parametrize("source", ["\n{{ secret + 1 }}", "\n{{ missing + 1 }}", "\n{{ 1 // zero }}"])
def test_a_render_error_tells_the_line_and_none_of_the_data(source: str) -> None:
    """Events and logs carry these words, so no variable's value may be in them."""
    with pytest.raises(RenderError) as caught:
        render(source, {"secret": "taro@docomo.example", "zero": 0})
    assert "taro" not in str(caught.value)
    assert "line 2" in str(caught.value)


def test_the_clock_stops_what_the_counts_do_not_see() -> None:
    """A render that used up its CPU time ends at the next output, loop or filter."""
    template = Template("html", "{% for i in range(1000) %}{{ i }}{% endfor %}", autoescape=False)
    with pytest.raises(RenderError, match="CPU"):
        template.render({}, Budget(RenderBounds(cpu_s=0.0)))


LINKS = (
    '<a href="{{ x }}">a</a>',
    "<a href = {{ x|safe }}>a</a>",
    '<a href="{% if x %}{{ x }}{% else %}/{% endif %}">a</a>',
    '<a href="{% for one in [1] %}{{ missing }}{{ x ~ "?a" }}{% endfor %}">a</a>',
    "<img SRC='{{ x|default(1) }}'>",
)


@pytest.mark.parametrize("source", LINKS)
@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", " JaVa\tScript\n:x", "\x01vbscript:x", "data:text/html,x", "java&#115;cript&colon;x"],
)
def test_a_variable_begins_no_link_that_runs_code(source: str, link: str) -> None:
    """However it is spelt; the words name the line and not the value."""
    with pytest.raises(RenderError, match=r"^html: line 1: a link that a variable begins with javascript:"):
        render(source, {"x": link}, autoescape=True)


@pytest.mark.parametrize("source", LINKS)
@pytest.mark.parametrize(
    "link", ["https://acme.example/javascript:x", "mailto:a@acme.example", "data:image/png;base64,AA", "/data", ""]
)
def test_other_links_stay(source: str, link: str) -> None:
    """Schemes that only open something, a picture in the mail itself, and the words elsewhere in a link."""
    assert link in render(source, {"x": link}, autoescape=True)


def test_the_words_stay_where_no_link_begins() -> None:
    """In prose, in a link's later parts, and in a text part."""
    source = '<p title="{{ x }}">{{ x }}</p><a href="https://acme.example/?q={{ x }}">javascript: {{ x }}</a>'
    assert render(source, {"x": "javascript:x"}, autoescape=True).count("javascript:x") == 4
    assert render('href="{{ x }}"', {"x": "javascript:x"}) == 'href="javascript:x"'


def test_a_template_spells_no_link_that_runs_code() -> None:
    """Refused at compile, with the line."""
    with pytest.raises(TemplateRefusedError, match=r"^html line 3: a link may not begin"):
        Template("html", "{{ a }}\n<p>\n<a href='javascript:x'>", autoescape=True)
