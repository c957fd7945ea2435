"""A send's message: what is on the wire, what a reader gets back, and what can't get in."""

import email
import re
from datetime import timedelta
from email.message import EmailMessage
from email.policy import default
from typing import Any

import dkim
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import ids
from schemas.events import Address
from streams.compose.errors import ComposeError, RenderError
from streams.compose.headers import CONTROL
from streams.compose.message import Composer, ComposeSettings, Message
from tests.compose import builders
from tests.compose.test_compile import corpus

FIELDS = [
    "DKIM-Signature", "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post",
    "Feedback-ID", "MIME-Version", "Content-Type",
]  # fmt: skip
LOOPS = builders.composer(subject="x", html="{{ name.first }}{% for a in rows %}{{ a + 1 }}{% endfor %}{{ b|upper }}")
SUBJECT = builders.composer(subject="{{ x }}", html=None, text="{{ x }}")


def parsed(message: Message) -> EmailMessage:
    """The message as a reader's program parses it."""
    read = email.message_from_bytes(message.data, policy=default)
    assert isinstance(read, EmailMessage)
    assert not read.defects
    return read


def content(part: Any) -> str:
    """A part's text with line breaks as Python has them."""
    text: str = part.get_content().replace("\r\n", "\n")
    return text


def test_a_japanese_mail_reads_back_whole() -> None:
    """Names, subject and both parts in Japanese and emoji; the fields in their order; verified by dkimpy."""
    made = builders.message({"name": "太郎🎉", "url": "https://acme.example/?a=1&b=2"})
    read = parsed(made)
    assert read.keys() == FIELDS
    assert read["Subject"] == "太郎🎉さんへ"
    assert (read["From"].addresses[0].display_name, read["From"].addresses[0].addr_spec) == (
        "エイクミ",
        "news@acme.example",
    )
    assert read["To"] == "taro@docomo.example"
    assert read["Date"].datetime == builders.NOW
    text, html = read.iter_parts()
    assert content(text) == "太郎🎉さん、こんにちは🎉\n\n[見る](https://acme.example/?a=1&b=2)\n"
    assert "https://acme.example/?a=1&amp;b=2" in content(html)
    assert dkim.verify(made.data, dnsfunc=builders.dns)


def test_the_unsubscribe_fields_follow_rfc_8058() -> None:
    """An https link that carries a signed token, one click, and the same link for the body."""
    made = builders.message(html="<a href='{{ unsubscribe_url }}'>stop</a>")
    read = parsed(made)
    link = read["List-Unsubscribe"].strip("<>")
    assert read["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert builders.TOKENS.read_unsubscribe(link.rpartition("/")[2]).recipient_id == "u1"
    assert link in made.data.decode() and f"[stop]({link})" in content(next(read.iter_parts()))
    assert read["Feedback-ID"] == "autumn:acme:marketing:evenpost"


def test_a_resend_is_the_same_bytes() -> None:
    """Another attempt and deal of the same send differ in the envelope alone (G2)."""
    composer = builders.composer()
    first = composer.compose(builders.send())
    again = builders.composer().compose(
        builders.send(attempt=3, deal=2, slot=5, queued_at=builders.NOW + timedelta(hours=1))
    )
    assert again.data == first.data
    assert again.message_id == first.message_id == f"<{builders.send().send_id}@acme.example>"
    assert again.envelope_from != first.envelope_from
    assert composer.compose(builders.send(send_id=ids.digest("other"))).message_id != first.message_id


def test_lines_are_crlf_and_short() -> None:
    """No bare CR or LF, no line beyond 78 but the unsubscribe link, whatever line breaks the author used."""
    made = builders.message(
        {"name": "x" * 300}, html=None, text="a\nb\r\nc\rd\n.\n", headers={"X-Long": "長い名前" * 40}
    )
    lines = made.data.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert all(len(line) <= 78 for line in lines if not line.startswith(b"List-Unsubscribe:"))
    assert content(parsed(made)) == "a\nb\nc\nd\n.\n"


@pytest.mark.parametrize(
    "name", ["Acme", "Acme, Inc.", 'The "A" \\ B', "a@b", "エイクミ株式会社" * 8, "=?utf-8?B?eA==?=", "x" * 200]
)
def test_a_sender_name_reads_back(name: str) -> None:
    """Plain, quoted or encoded, as the name needs it."""
    read = parsed(builders.message(from_=Address(name=name, address="news@acme.example")))
    assert read["From"].addresses[0].addr_spec == "news@acme.example"
    # The parser of Python 3.11 puts a blank between the encoded words of a phrase; its older decoder does not.
    shown = read["From"].addresses[0].display_name
    assert name in {shown, shown.replace(" ", "")}


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("taro@例え.jp", "taro@xn--r8jz45g.jp"),
        ("Taro+x@DOCOMO.example", "Taro+x@docomo.example"),
        ("ta..ro.@docomo.example", '"ta..ro."@docomo.example'),
    ],
)
def test_an_address_goes_in_wire_form(address: str, wire: str) -> None:
    """A-label domains; local parts in their own case, and quoted where old carriers broke the rules."""
    made = builders.composer().compose(builders.send(address=address))
    assert made.envelope_to == wire
    assert f"\r\nTo: {wire}\r\n".encode() in made.data
    assert parsed(made)["To"].addresses[0].addr_spec == wire.replace('"', "")


@pytest.mark.parametrize(
    "address",
    [
        "太郎@docomo.example",
        "nobody",
        "a@",
        "a@b..c",
        "a\r\nBcc: x@docomo.example",
        "a@docomo.example\r\nX: y",
        "a" * 65 + "@b.example",
    ],
)
def test_an_address_that_can_not_be_sent_is_a_render_error(address: str) -> None:
    """It names the field and keeps the address to itself."""
    with pytest.raises(RenderError) as caught:
        builders.composer().compose(builders.send(address=address))
    assert caught.value.field == "to.address"
    assert address not in str(caught.value)


@settings(deadline=None)  # two cores, shared: time is no fact of this test
@given(st.text(max_size=120))
@example("a\r\nBcc: x@evil.example")
@example("=?utf-8?Q?=0D=0ABcc:_x?=")
@example(" a  b ")
@example("👩‍👩‍👧" * 12)
@example("x" * 500)
def test_a_subject_reads_back_or_is_refused(text: str) -> None:
    """Whatever a variable holds: the same subject and exactly our fields, or a RenderError for control characters."""
    if CONTROL.search(text):
        with pytest.raises(RenderError) as caught:
            SUBJECT.compose(builders.send({"x": text}))
        assert caught.value.field == "subject"
        return
    made = SUBJECT.compose(builders.send({"x": text}))
    read = parsed(made)
    assert read["Subject"] == text
    assert read.keys() == [*FIELDS, "Content-Transfer-Encoding"]
    assert content(read).removesuffix("\n") == text.removesuffix("\n")
    for word in re.findall(rb"=\?utf-8\?B\?[^?]*\?=", made.data):
        assert len(word) <= 75
        email.header.decode_header(word.decode())[0][0].decode()


@settings(deadline=None)  # two cores, shared: time is no fact of this test
@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_any_variables_render_or_raise_a_render_error(variables: dict[str, Any]) -> None:
    """Recipients' variables are anyone's data: no other error may come of them (G8)."""
    try:
        made = LOOPS.compose(builders.send(variables | {"rows": list(variables.values()), "b": variables}))
    except RenderError:
        return
    assert parsed(made)["Subject"] == "x"


@pytest.mark.parametrize("name", sorted(corpus()))
def test_real_templates_render_and_verify(name: str) -> None:
    """From a real template to a signed message whose HTML is the rendered template."""
    made = builders.message({"name": "太郎", "receipt_details": [{"amount": 1}, {"amount": 2}]}, html=corpus()[name])
    assert dkim.verify(made.data, dnsfunc=builders.dns)
    assert all("{{" not in content(part) for part in parsed(made).iter_parts())


def test_a_text_part_is_made_of_the_rendered_html_where_no_template_could_be() -> None:
    """Markup that a variable brings in is text in the text part."""
    made = builders.message({"x": "<b>太</b>郎"}, html="<p>{{ x|safe }}</p>")
    assert content(next(parsed(made).iter_parts())) == "太郎\n"


def test_a_nul_in_the_body_and_a_message_too_large_are_refused() -> None:
    """The field and the limit are named."""
    with pytest.raises(RenderError, match="NUL"):
        builders.message({"name": "a\0"}, subject="x")
    small = ComposeSettings(unsubscribe_url="https://u.example/u", feedback_id="e", max_message_bytes=1000)
    with pytest.raises(RenderError, match="at most 1,000"):
        builders.composer(settings=small, subject="x").compose(builders.send({"name": "x" * 2000}))


def test_an_id_too_long_for_a_header_line_is_refused() -> None:
    """An unsubscribe link can't be folded: a recipient id that does not fit is a RenderError, never a broken line."""
    with pytest.raises(RenderError, match="998"):
        builders.composer().compose(builders.send(recipient_id="長" * 250))


def test_refused_content_has_no_composer() -> None:
    """A send that names refused content fails with its reason."""
    with pytest.raises(ComposeError, match="give one of them"):
        Composer(
            builders.content(html=None), signers=[builders.signer()], tokens=builders.TOKENS, settings=builders.SETTINGS
        )


def test_a_subject_that_no_line_would_hold_is_refused() -> None:
    """998 characters read back; one more is a RenderError that says how many (RFC 5322 2.1.1)."""
    assert parsed(SUBJECT.compose(builders.send({"x": "x" * 998})))["Subject"] == "x" * 998
    with pytest.raises(RenderError, match=r"^subject: 999 characters once rendered; at most 998$"):
        SUBJECT.compose(builders.send({"x": "x" * 999}))


@pytest.mark.parametrize(("value", "words"), [({"a": "secret"}, "an object"), (["secret"], "a list")])
def test_a_list_or_object_is_no_subject(value: object, words: str) -> None:
    """Nobody gets a mail whose subject is Python's spelling of it; the words don't quote it."""
    with pytest.raises(RenderError) as caught:
        SUBJECT.compose(builders.send({"x": value}))
    assert str(caught.value) == f"subject: line 1: a variable holds {words}, not one value"
