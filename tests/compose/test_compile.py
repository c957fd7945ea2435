"""Campaign to content: what is refused, in which words, and what compiling adds."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import Address, Domain
from streams.compose.stylesheet import inline_styles
from tests.compose import builders

CORPUS = Path(__file__).parent.parent / "corpora" / "html"
# Three of the corpus are Handlebars: their one loop, as Jinja spells it.
HANDLEBARS = {"{{#each receipt_details}}": "{% for item in receipt_details %}", "{{/each}}": "{% endfor %}"}


def corpus() -> dict[str, str]:
    """Real mail templates by file name, their loops in our language."""
    found = {path.name: path.read_text() for path in sorted(CORPUS.glob("*/*.html"))}
    for foreign, ours in HANDLEBARS.items():
        found = {name: source.replace(foreign, ours) for name, source in found.items()}
    return found


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"channel": "push"}, ["channel", "'push'"]),
        ({"html": None}, ["html and text", "give one"]),
        ({"html": "a" * 2_000_001}, ["html", "2,000,001", "2,000,000"]),
        ({"html": None, "text": "あ" * 700_000}, ["text", "2,100,000"]),
        ({"html": "ok\n{% if %}"}, ["html line 2"]),
        ({"subject": "{{ name"}, ["subject line 1"]),
        ({"subject": "a\r\nBcc: x@evil.example"}, ["subject", "U+000D"]),
        ({"subject": "a\x00"}, ["subject", "U+0000"]),
        ({"html": "a\nb\x00"}, ["html line 2", "U+0000"]),
        ({"html": "\ud800"}, ["html", "surrogate"]),
        ({"from_": Address(name="a\nBcc: x", address="news@acme.example")}, ["from.name", "U+000A"]),
        ({"from_": Address(name="{{ name }}", address="news@acme.example")}, ["from.name", "no template"]),
        ({"from_": Address(address="news\r\nBcc: x@acme.example")}, ["from.address", "control character"]),
        ({"from_": Address(address="ニュース@acme.example")}, ["from.address", "SMTPUTF8"]),
        ({"from_": Address(address="news@other.example")}, ["from.address", "acme.example"]),
        ({"from_": Address(address='"ceo@bank.example"@acme.example')}, ["from.address", "needs quotes", "letters"]),
        ({"from_": Address(address="ceo@bank.example,x@acme.example")}, ["from.address", "needs quotes"]),
        ({"from_": Address(address="the news@acme.example")}, ["from.address", "needs quotes"]),
        ({"reply_to": "a, b@acme.example"}, ["reply_to", "needs quotes"]),
        ({"subject": "x" * 999}, ["subject", "999", "998"]),
        ({"reply_to": "nobody"}, ["reply_to", "'nobody'"]),
        ({"headers": {"Bcc": "x@evil.example"}}, ["headers 'Bcc'", "remove it"]),
        ({"headers": {"content-TYPE": "text/html"}}, ["headers 'content-TYPE'"]),
        ({"headers": {"List-Unsubscribe-Post": "x"}}, ["List-Unsubscribe-Post"]),
        ({"headers": {"X A": "x"}}, ["headers 'X A'", "field name"]),
        ({"headers": {"X-A:": "x"}}, ["'X-A:'", "field name"]),
        ({"headers": {"X-A": "x", "x-a": "y"}}, ["'x-a'", "twice"]),
        ({"headers": {"X-A": "x\r\nBcc: y"}}, ["headers.X-A", "U+000D"]),
        ({"headers": {f"X-{number}": "x" for number in range(51)}}, ["51", "50"]),
    ],
)
def test_a_campaign_that_would_fail_for_everybody_is_refused(changes: dict[str, Any], names: list[str]) -> None:
    """The reason names the field, the value and the fix, and there is nothing to render."""
    made = builders.content(**changes)
    assert made.state == "refused"
    assert all(name in made.reason for name in names), made.reason
    assert made.html is None and made.text is None and made.subject == ""


def test_a_from_outside_the_tenants_domains_is_refused() -> None:
    """No domain, no mail: nobody sends in another's name."""
    made = builders.content(None)
    assert made.state == "refused"
    assert "'news@acme.example'" in made.reason and "'acme'" in made.reason


def test_an_international_domain_becomes_a_labels() -> None:
    """DKIM's d= and the return path are ASCII, however the tenant wrote them."""
    domain = Domain(domain="例え.example", return_path_domain="bounce.例え.example", dkim=builders.DOMAIN.dkim)
    made = builders.content(domain, from_=Address(address="news@例え.example"))
    assert (made.state, made.domain) == ("compiled", "xn--r8jz45g.example"), made.reason
    assert made.return_path_domain == "bounce.xn--r8jz45g.example"


def test_compiling_is_pure() -> None:
    """Two owners of CONTROL make the same content."""
    html = corpus()["welcome.html"]
    assert builders.content(html=html) == builders.content(html=html)


@pytest.mark.parametrize("name", sorted(corpus()))
def test_real_templates_compile_with_their_placeholders_intact(name: str) -> None:
    """The sources of two well-known template sets: CSS inlined, a text part derived, every mark kept."""
    source = corpus()[name]
    made = builders.content(html=source)
    assert made.state == "compiled", made.reason
    assert made.html is not None and made.text
    assert made.html.count(' style="') >= source.count(' style="')
    assert made.html.count("{{") == source.count("{{")
    assert ("{% for" in made.text) == ("{% for" in source)


def test_a_stylesheet_is_inlined_and_what_the_tag_says_itself_not_repeated() -> None:
    """The one template that is not inlined yet gets its styles; one that is grows by less than a sixth."""
    plain, done = corpus()["email.html"], corpus()["welcome.html"]
    assert inline_styles(plain).count(' style="') > plain.count(' style="') + 20
    assert len(inline_styles(done)) < 7 / 6 * len(done)


def test_handlebars_are_refused_with_the_way_out() -> None:
    """A template in another language says which one it is and how we spell it."""
    made = builders.content(html=(CORPUS / "postmark" / "receipt.html").read_text())
    assert made.state == "refused"
    assert "Handlebars" in made.reason and "{% for" in made.reason


def test_inlining_changes_nothing_but_style_attributes() -> None:
    """Statements stay in their tables, quotes in expressions stay quotes, the tag's own style wins."""
    source = (
        "<style>td{padding:1px} .b{color:red !important}</style><table>{% for r in rows if r.a < 3 %}"
        '<tr><td style=\'margin:0\' title="{{ r.t|default("x") }}">{{ r.n }}</td></tr>{% endfor %}</table>'
        '<p {% if b %}class="b"{% endif %}>x</p><a class="b" href="{{ u }}?a=1&b=2">y</a>'
    )
    made = inline_styles(source)
    assert '<td style="padding: 1px; margin:0" title="{{ r.t|default("x") }}">' in made
    assert '<a style="color: red !important;" class="b" href="{{ u }}?a=1&b=2">y</a>' in made
    assert '<p {% if b %}class="b"{% endif %}>' in made
    assert "{% for r in rows if r.a < 3 %}<tr>" in made


def test_inlining_loads_nothing(tmp_path: Path) -> None:
    """A stylesheet on disk or on the network stays where it is, linked or imported."""
    sheet = tmp_path / "a.css"
    sheet.write_text("p{color:green}")
    source = f'<link rel="stylesheet" href="file://{sheet}"><style>@import "{sheet}"; a{{color:red}}</style><p>x</p>'
    assert "green" not in inline_styles(source)


@pytest.mark.parametrize(
    "source",
    [
        "<style>p{color:{{ c }}}</style><p>x</p>",
        "<style>p{color:red}</style>" + "<div>" * 20_000,
        "<style>p{color:red}</style>" + "".join(f"<p><b id={number}>" for number in range(1000)),
        '<style>p{color:red}</style><p title="x',
    ],
    ids=["css of variables", "deep tree", "open formatting", "open tag"],
)
def test_what_can_not_be_inlined_is_left_alone(source: str) -> None:
    """Looks may suffer, never the mail: a tree of 20,000 levels would take css-inline's process down."""
    assert inline_styles(source) == source


def test_a_loop_in_a_table_becomes_lines_of_text() -> None:
    """A receipt's rows are one line each in the derived text part, without empty lines between them."""
    html = (
        "<p>Hi</p><table>{% for r in rows %}<tr><td>{{ r.n }}</td><td>{{ r.p }}</td></tr>{% endfor %}</table>"
        '<p>Sum <a href="{{ u }}">{{ t }}</a></p>'
    )
    made = builders.content(html=html)
    assert made.text == "Hi\n\n{% for r in rows %}{{ r.n }} {{ r.p }}\n{% endfor %}\nSum [{{ t }}]({{ u }})\n"


def test_a_wide_value_in_a_long_table_does_not_fill_memory() -> None:
    """Text has no columns: a table's size in text is that of what it says."""
    made = builders.content(html="<table>" + "<tr><td>a</td></tr>" * 5000 + f"<tr><td>{'b' * 50_000}</td></tr></table>")
    assert made.text is not None and len(made.text) < 100_000


@pytest.mark.parametrize(
    "html", ["<p>{{ x|safe }}</p>", "<p>{% raw %}{{{% endraw %}</p>", "<p {% if a %}a{% endif %}>x</p>"]
)
def test_a_text_part_that_needs_the_rendered_html_is_left_to_the_sender(html: str) -> None:
    """Where a derived template could differ from the rendered HTML, there is none."""
    made = builders.content(html=html)
    assert made.state == "compiled" and made.text is None
