"""Campaigns, sends, keys and composers with every field filled in, so that a test names only what it is about."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from schemas import ids
from schemas.events import Address, Campaign, Content, Destination, DkimKey, Domain, Send
from streams.compose.compile import compile_content
from streams.compose.dkim import Signer, public_record
from streams.compose.message import Composer, ComposeSettings, Message
from streams.compose.tokens import Tokens

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SETTINGS = ComposeSettings(unsubscribe_url="https://unsubscribe.evenpost.example/u", feedback_id="evenpost")
TOKENS = Tokens(b"t" * 32, address_key=b"a" * 32)
DOMAIN = Domain(
    domain="acme.example",
    return_path_domain="bounce.acme.example",
    dkim=(DkimKey(selector="s1", key_file="keys/acme-s1.pem"),),
)
HTML = "<html><body><p>{{ name }}さん、こんにちは🎉</p><a href='{{ url }}'>見る</a></body></html>"


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key of each size for the whole run: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def write_pem(path: Path, key: Any) -> Path:
    """The key as `openssl genpkey` writes it."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pem)
    return path


def dns(name: bytes, timeout: int = 5) -> bytes | None:
    """What dkimpy asks of DNS: the session key's record under s1, nothing elsewhere."""
    known = name.decode() in {"s1._domainkey.acme.example.", "s2._domainkey.acme.example."}
    return public_record(rsa_key()).encode() if known else None


def campaign(**changes: Any) -> Campaign:
    """A marketing campaign of acme's."""
    base = Campaign(
        tenant="acme",
        campaign_id="autumn",
        kind="marketing",
        from_=Address(name="エイクミ", address="news@acme.example"),
        subject="{{ name }}さんへ",
        html=HTML,
    )
    return msgspec.structs.replace(base, **changes)


def content(domain: Domain | None = DOMAIN, **changes: Any) -> Content:
    """The campaign's content, compiled or refused."""
    made = campaign(**changes)
    version = ids.content_version(ids.campaign_shape(made), domain)
    return compile_content(made, domain, version=version, now=NOW)


def send(variables: dict[str, Any] | None = None, *, address: str = "taro@docomo.example", **changes: Any) -> Send:
    """One dealt send."""
    base = Send(
        send_id=ids.digest("send"),
        tenant="acme",
        campaign_id="autumn",
        kind="marketing",
        recipient_id="u1",
        to=Destination(address=address),
        variables={"name": "太郎"} if variables is None else variables,
        content="0" * 32,
        created_at=NOW,
        queued_at=NOW,
        deal=1,
        attempt=0,
        pool="shared",
        slot=3,
        gate_partition=0,
        weights_version=1,
        due=NOW,
        expire_at=NOW.replace(day=25),
        provider="docomo",
        on_uncertain="hold",
        cap_class="marketing",
        source_topic="recipients.marketing",
        source_partition=0,
        source_offset=7,
    )
    return msgspec.structs.replace(base, **changes)


def signer(selector: str = "s1") -> Signer:
    """Acme's."""
    return Signer("acme.example", selector, rsa_key())


def composer(made: Content | None = None, *, settings: ComposeSettings = SETTINGS, **changes: Any) -> Composer:
    """A composer of the content, or of a campaign with these changes."""
    compiled = content(**changes) if made is None else made
    assert compiled.state == "compiled", compiled.reason
    return Composer(compiled, signers=[signer()], tokens=TOKENS, settings=settings)


def message(variables: dict[str, Any] | None = None, **changes: Any) -> Message:
    """One message of a campaign with these changes."""
    return composer(**changes).compose(send(variables))
