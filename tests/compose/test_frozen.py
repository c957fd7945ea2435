"""What is sent again is the same mail: every byte above its signature, whatever has changed meanwhile (G2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agents.composers import Composers
from schemas import ids
from schemas.events import Content, Send
from streams.compose.compile import MailTerms, compile_content
from streams.compose.errors import TokenKeyMissingError
from streams.compose.message import Message
from streams.runtime.settings import MailSettings, SecretSettings, Settings
from tests.compose import builders
from tests.compose.test_compile import corpus

TERMS = MailTerms(unsubscribe_url="https://stop.acme.example/u", feedback_id="pool", token_key=1, address_key=1)
TEMPLATES = corpus() | {
    "safe.html": "<p>{{ name|safe }}</p><a href='{{ unsubscribe_url }}'>stop</a>",  # text is made at the sender
    "loop.html": "{% for one in rows %}<p>{{ loop.index }} {{ one }}</p>{% endfor %}{{ rows|unique|sort|join(',') }}",
}
KEYS = {"token-1": SecretStr("t" * 32), "address-id-1": SecretStr("a" * 32)}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def compiled(html: str, terms: MailTerms | None = TERMS, **changes: Any) -> Content:
    """The campaign's content as CONTROL compiles it."""
    campaign = builders.campaign(html=html, **changes)
    version = ids.content_version(ids.campaign_shape(campaign), builders.DOMAIN)
    made = compile_content(campaign, builders.DOMAIN, version=version, now=builders.NOW, terms=terms)
    assert made.state == "compiled", made.reason
    return made


@pytest.fixture(scope="module")
def dkim_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where senders find acme's key."""
    root = tmp_path_factory.mktemp("dkim")
    builders.write_pem(root / "keys" / "acme-s1.pem", builders.rsa_key())
    return root


def at_first(root: Path) -> Settings:
    """A sender's settings before anything changes."""
    return Settings(
        data_dir=root,
        dkim_dir=root,
        mail=MailSettings(unsubscribe_url=TERMS.unsubscribe_url, feedback_id=TERMS.feedback_id),
        secrets=SecretSettings(token=KEYS["token-1"], address_id=KEYS["address-id-1"]),
    )


def later(root: Path, *, url: str, feedback_id: str, version: int) -> Settings:
    """A sender's settings after a restart: another address, another name, new keys beside the ones before."""
    return Settings(
        data_dir=root,
        dkim_dir=root,
        mail=MailSettings(unsubscribe_url=url, feedback_id=feedback_id),
        secrets=SecretSettings(
            token=SecretStr("T" * 32),
            token_version=version,
            address_id=SecretStr("A" * 32),
            address_id_version=version,
            former=KEYS,
        ),
    )


def compose(composers: Composers, send: Send) -> Message:
    """What a sender makes of it."""
    made = composers(send)
    assert made is not None
    return made


def sender(settings_: Settings, *contents: Content) -> Composers:
    """A sender that has just begun, with what it read of `contents`."""
    read = {
        ids.content_key(one.tenant, one.campaign_id, one.version): msgspec.json.decode(
            msgspec.json.encode(one), type=Content
        )
        for one in contents
    }
    return Composers(settings_, read)


def above_the_signature(message: Message) -> bytes:
    """All of the message but its DKIM-Signature fields."""
    header, _, body = message.data.partition(b"\r\n\r\n")
    fields = header.replace(b"\r\n ", b"\0 ").split(b"\r\n")
    return b"\r\n".join([one for one in fields if not one.startswith(b"DKIM-Signature:")] + [body])


@pytest.fixture(scope="module")
def contents() -> dict[str, Content]:
    """Each template's content."""
    return {name: compiled(html) for name, html in TEMPLATES.items()}


@pytest.fixture(scope="module")
def senders(dkim_dir: Path, contents: dict[str, Content]) -> list[Composers]:
    """The first sender, and those that came after other changes of the settings."""
    after = [
        later(dkim_dir, url=url, feedback_id=feedback_id, version=version)
        for url in ("https://other.example/x", TERMS.unsubscribe_url)
        for feedback_id in ("other", "pool")
        for version in (2, 9)
    ]
    return [sender(one, *contents.values()) for one in (at_first(dkim_dir), *after)]


@settings(deadline=None, max_examples=200)  # two cores, shared: time is no fact of this test
@given(
    name=st.sampled_from(sorted(TEMPLATES)),
    variables=st.dictionaries(st.sampled_from(["name", "rows", "url", "product_name"]), json_values, max_size=4),
    change=st.integers(1, 8),
    attempt=st.integers(0, 50),
    deal=st.integers(2, 70_000),
    slot=st.integers(0, 63),
    waited=st.timedeltas(min_value=timedelta(), max_value=timedelta(days=9)),
    offset=st.integers(-14, 14),
)
def test_a_mail_sent_again_is_the_same_above_its_signature(
    contents: dict[str, Content],
    senders: list[Composers],
    name: str,
    variables: dict[str, Any],
    change: int,
    attempt: int,
    deal: int,
    slot: int,
    waited: timedelta,
    offset: int,
) -> None:
    """Other settings, rotated keys, another attempt, deal, slot and moment; through JSON and back, as returns go."""
    before, after = senders[0], senders[change]
    rows = variables.get("rows")
    variables = {**variables, "rows": [str(one) for one in rows] if isinstance(rows, list) else []}
    send = builders.send({"name": "太郎", **variables}, content=contents[name].version)
    try:
        first = compose(before, send)
    except ValueError:  # this person's variables make no mail: they don't at the second time either
        with pytest.raises(ValueError, match=r"."):
            compose(after, send)
        return
    changed = msgspec.structs.replace(
        send,
        attempt=attempt,
        deal=deal,
        slot=slot,
        queued_at=send.queued_at + waited,
        due=send.due + waited,
        expire_at=send.expire_at + waited,
        created_at=send.created_at.astimezone(timezone(timedelta(hours=offset))),
        in_doubt=True,
    )
    came_back = msgspec.json.decode(msgspec.json.encode(changed), type=Send)
    again = compose(after, came_back)
    assert above_the_signature(again) == above_the_signature(first)
    assert (again.message_id, again.envelope_to) == (first.message_id, first.envelope_to)
    same_deal = msgspec.structs.replace(came_back, deal=send.deal, slot=send.slot)
    assert compose(after, same_deal).envelope_from == first.envelope_from, "signed by the key that signs the link"


def test_without_the_terms_a_mail_would_change_with_the_settings(dkim_dir: Path) -> None:
    """The check above can fail: content that kept none follows whoever sends it."""
    content = compiled(builders.HTML, terms=None)
    send = builders.send(content=content.version)
    first = compose(sender(at_first(dkim_dir), content), send)
    after = later(dkim_dir, url="https://o.example/u", feedback_id="o", version=2)
    again = compose(sender(after, content), send)
    assert above_the_signature(again) != above_the_signature(first)


def test_a_key_that_was_not_kept_is_missed_and_no_other_taken(dkim_dir: Path, tmp_path: Path) -> None:
    """The send waits for it (as for a DKIM key), and the error says which file or setting."""
    content = compiled(builders.HTML)
    rotated = later(dkim_dir, url="https://o.example/u", feedback_id="o", version=2)
    without = rotated.model_copy(
        update={"data_dir": tmp_path, "secrets": rotated.secrets.model_copy(update={"former": {}})}
    )
    with pytest.raises(TokenKeyMissingError, match=r"token-1\.key.*EVENPOST_SECRETS__FORMER"):
        compose(sender(without, content), builders.send(content=content.version))
    (tmp_path / "keys").mkdir()
    for name, key in KEYS.items():
        (tmp_path / "keys" / f"{name}.key").write_text(key.get_secret_value().encode().hex())
    send = builders.send(content=content.version)
    first = compose(sender(at_first(dkim_dir), content), send)
    assert above_the_signature(compose(sender(without, content), send)) == above_the_signature(first)


def test_the_order_of_headers_is_the_versions_own() -> None:
    """The same campaign with its headers in another order has the same version, and so the same bytes."""
    orders = {"X-A": "1", "X-B": "2"}, {"X-B": "2", "X-A": "1"}
    one, two = (compiled("<p>x</p>", headers=headers) for headers in orders)
    assert one.version == two.version
    assert msgspec.json.encode(one) == msgspec.json.encode(two)


def test_the_date_is_one_moment_however_it_is_written(dkim_dir: Path) -> None:
    """The Date field is in UTC, whatever offset a JSON writer gave the moment."""
    content = compiled(builders.HTML)
    tokyo = builders.send(
        content=content.version, created_at=datetime(2026, 11, 24, 18, 30, tzinfo=timezone(timedelta(hours=9)))
    )
    assert tokyo.created_at.astimezone(UTC) == builders.NOW
    assert b"\r\nDate: Tue, 24 Nov 2026 09:30:00 +0000\r\n" in compose(sender(at_first(dkim_dir), content), tokyo).data
