"""What is sent where mail itself is measured: one campaign, one sending IP a slot, persons, and sends dealt already.

All of it is made from numbers, so that an auditor can make it again.  The message is what a shop's newsletter is once
it is composed and signed: 10 KB on the wire (or 30), text and HTML, with the person's name, points and picks in it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from schemas import ids
from schemas.events import Address, Campaign, Content, Destination, DkimKey, Domain, Egress, Send, Tenant, Via
from schemas.events.sends import Views
from schemas.topics import RECIPIENTS_MARKETING
from streams.compose.compile import compile_content
from streams.compose.dkim import KeyRing
from streams.compose.message import Composer, ComposeSettings
from streams.compose.tokens import Tokens
from streams.runtime.keys import KEY_BYTES
from streams.runtime.settings import MailSettings

TENANT: Final = "bench"
CAMPAIGN: Final = "newsletter"
DOMAIN: Final = "bench.example"
KEY_FILE: Final = "bench-s1.pem"
# 127.0.0.2 onward, as every address of 127.0.0.0/8 is the machine's own; the last is 127.0.0.254.
FIRST_HOST: Final = 2
MAX_SLOTS: Final = 253
_PICKS: Final = ("Rain jacket", "Trail shoes", "Thermos 0.5 l", "Wool socks", "Head lamp", "Map of Nikko", "Day pack")
_CITIES: Final = ("Sendai", "Kyoto", "Fukuoka", "Sapporo", "Kanazawa")

_HEAD: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<style>
  .card { max-width: 560px; margin: 24px auto; padding: 32px; background: #fff; }
  .pick { padding: 12px 16px; border-left: 4px solid #d9822b; }
</style>
</head>
<body>
<div class="card">
<h1>Good morning, {{ name }}</h1>
<p>You have <strong>{{ points }}</strong> points. Here is what we picked for you and the weather in {{ city }}.</p>
<ul>{% for pick in picks %}<li>{{ pick }}</li>{% endfor %}</ul>
"""
_SECTION: Final = """\
<p class="pick"><a href="https://shop.bench.example/{number}?to={{{{ city }}}}">Offer {number}</a> for {{{{ name }}}}: \
whoever orders before Sunday gets it at home, in {{{{ city }}}}, by Tuesday, and may send it back for thirty days.</p>
"""
_FOOT: Final = """\
<p>No more of this? <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>
</div>
</body>
</html>
"""
# KB of the whole message, and as many sections as make that.
Size = Literal[10, 30]
_SECTIONS: Final[dict[Size, int]] = {10: 12, 30: 46}


def tenant() -> Tenant:
    """The one tenant."""
    return Tenant(tenant=TENANT, name="Bench", domains=(_domain(),))


def campaign(size: Size = 10) -> Campaign:
    """The one campaign."""
    sections = "".join(_SECTION.format(number=number) for number in range(1, _SECTIONS[size] + 1))
    return Campaign(
        tenant=TENANT,
        campaign_id=CAMPAIGN,
        kind="marketing",
        from_=Address(name="Bench", address=f"news@{DOMAIN}"),
        subject="{{ name }}, {{ picks[0] }} and more for {{ city }}",
        html=_HEAD + sections + _FOOT,
        on_uncertain="hold",
    )


def content(at: datetime, size: Size = 10) -> Content:
    """The campaign as CONTROL compiles it."""
    asked = campaign(size)
    version = ids.content_version(ids.campaign_shape(asked), _domain())
    return compile_content(asked, _domain(), version=version, now=at)


def egress(slots: int) -> Iterator[Egress]:
    """A sending IP for each slot."""
    for slot in range(slots):
        via = Via(kind="bind", address=f"127.0.0.{FIRST_HOST + slot}")
        yield Egress(slot=slot, via=via, ehlo=f"m{slot}.{DOMAIN}")


def recipient_id(number: int) -> str:
    """The person of this number."""
    return f"p{number:07d}"


def address(number: int) -> str:
    """Where that person is reached."""
    return f"{recipient_id(number)}@mail.example"


def variables(number: int) -> dict[str, Any]:
    """What the message says to that person."""
    return {
        "name": f"Aiko {number}",
        "points": f"{number * 7919 % 100_000:,}",
        "city": _CITIES[number % len(_CITIES)],
        "picks": [_PICKS[(number + step) % len(_PICKS)] for step in range(3)],
    }


def send_id(number: int) -> str:
    """The name of the send of this number."""
    return ids.digest(TENANT, CAMPAIGN, recipient_id(number), "")


def slot_of(number: int, *, slots: int) -> int:
    """The slot of the send of this number: where its key places it, so that any producer writes it to its partition."""
    return ids.partition_for(send_id(number).encode(), slots)


def send(number: int, *, slots: int, version: str, at: datetime) -> Send:
    """A send as the gate deals it."""
    return Send(
        send_id=send_id(number),
        tenant=TENANT,
        campaign_id=CAMPAIGN,
        kind="marketing",
        recipient_id=recipient_id(number),
        to=Destination(address=address(number)),
        variables=variables(number),
        content=version,
        created_at=at,
        queued_at=at,
        deal=1,
        attempt=0,
        pool="shared",
        slot=slot_of(number, slots=slots),
        gate_partition=0,
        weights_version=1,
        due=at,
        expire_at=at + timedelta(days=1),
        provider="other",
        on_uncertain="hold",
        cap_class=None,
        source_topic=RECIPIENTS_MARKETING.name,
        source_partition=0,
        source_offset=number,
        views=Views(campaigns=1, egress=slots),
    )


def octets(folder: Path, at: datetime, size: Size = 10) -> int:
    """How large a message of these is on the wire; `folder` has the key."""
    compiled = content(at, size)
    tokens = Tokens(bytes(KEY_BYTES), address_key=bytes(KEY_BYTES))
    pool = MailSettings()
    composer = Composer(
        compiled,
        signers=KeyRing(folder).signers(compiled.domain, compiled.dkim),
        tokens=tokens,
        settings=ComposeSettings(unsubscribe_url=pool.unsubscribe_url, feedback_id=pool.feedback_id),
    )
    return len(composer.compose(send(0, slots=1, version=compiled.version, at=at)).data)


def _domain() -> Domain:
    return Domain(
        domain=DOMAIN,
        return_path_domain=f"bounce.{DOMAIN}",
        dkim=(DkimKey(selector="s1", key_file=KEY_FILE),),
    )
