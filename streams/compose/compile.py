"""Campaign -> `Content`: checked once, at activation, so that a mistake stops a campaign and not a million mails.

1. Who sends: a From of one of the tenant's domains, with addresses that the wire takes and every program shows alike.
2. Header text: no line breaks or control characters; custom headers under names that are not ours.
3. Templates: size, characters, then the sandbox's lists and bounds (`sandbox`).
4. CSS is inlined and a missing text part derived, where that is safe; else the sender does without or does it later.
5. The deployment's own terms are written down: what a mail says of them is the same whenever it is sent again.

Only what is certain to fail for everybody is refused here: a division by a person's zero is that person's `rejected`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from schemas.events import Campaign, Content, Domain
from streams.compose import headers, plain_text
from streams.compose.addresses import wire_address, wire_domain
from streams.compose.errors import TemplateRefusedError
from streams.compose.sandbox import Template
from streams.compose.stylesheet import inline_styles

# A message of ten times the usual 100 KB clips everywhere; with base64 and JSON it still fits a Kafka record of 8 MB.
TEMPLATE_BYTES: Final = 2_000_000
HEADER_COUNT: Final = 50

# What we write, what a receiver writes, and what would send or sign the message otherwise.
_OURS: Final = frozenset(
    {
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "reply-to",
        "sender",
        "bcc",
        "cc",
        "return-path",
        "received",
        "dkim-signature",
        "domainkey-signature",
        "mime-version",
        "feedback-id",
        "authentication-results",
        "delivered-to",
    }
)
_OUR_FAMILIES: Final = ("content-", "list-unsubscribe", "resent-", "arc-", "received-", "x-evenpost-")
_TEXT_CONTROLS: Final = frozenset(map(chr, (*range(9), 11, 12, *range(14, 32), 127)))


@dataclass(frozen=True, kw_only=True)
class MailTerms:
    """What every message says of the deployment, as its settings are at the moment of compiling.

    `token_key` and `address_key` are versions of the keys that unsubscribe links and return paths are made with.
    """

    unsubscribe_url: str
    feedback_id: str
    token_key: int
    address_key: int


class _Refused(ValueError):
    """A reason to refuse, in words for the campaign's author."""


def compile_content(
    campaign: Campaign, domain: Domain | None, *, version: str, now: datetime, terms: MailTerms | None = None
) -> Content:
    """What senders render under this version, or the reason why nobody will.  Never raises for bad input.

    `domain` is the tenant's domain that the campaign's From belongs to, None where there is none.  Without `terms`,
    each sender's own settings hold.
    """
    try:
        made = _compiled(campaign, domain, refused_content(campaign, "", version=version, now=now))
    except (_Refused, TemplateRefusedError) as error:
        return refused_content(campaign, str(error), version=version, now=now)
    return made if terms is None else _under(terms, made)


def refused_content(campaign: Campaign, reason: str, *, version: str, now: datetime) -> Content:
    """A version that nobody renders, and why."""
    return Content(
        tenant=campaign.tenant,
        campaign_id=campaign.campaign_id,
        version=version,
        state="refused",
        reason=reason,
        kind=campaign.kind,
        channel=campaign.channel,
        from_=campaign.from_,
        compiled_at=now,
    )


def _under(terms: MailTerms, made: Content) -> Content:
    return msgspec.structs.replace(
        made,
        unsubscribe_url=terms.unsubscribe_url,
        feedback_id=terms.feedback_id,
        token_key=terms.token_key,
        address_key=terms.address_key,
    )


def _compiled(campaign: Campaign, domain: Domain | None, blank: Content) -> Content:
    if campaign.channel != "mail":
        raise _Refused(f"channel {campaign.channel!r}: only mail is sent yet; set channel to mail")
    if domain is None:
        _address("from.address", campaign.from_.address)
        raise _Refused(
            f"from.address {campaign.from_.address!r}: its domain is none of tenant {campaign.tenant!r}'s; "
            "add it to the tenant's domains, or send from one of them"
        )
    sender = _address("from.address", campaign.from_.address)
    signing, bounces = _domain("domain", domain.domain), _domain("return_path_domain", domain.return_path_domain)
    if sender.rpartition("@")[2] != signing:
        raise _Refused(f"from.address {campaign.from_.address!r}: its domain is not {domain.domain!r}; use that domain")
    _header_text("from.name", campaign.from_.name or "")
    _header_text("subject", campaign.subject, template=True)
    if "{" not in campaign.subject and len(campaign.subject) > headers.LINE_OCTETS:
        raise _Refused(f"subject: {len(campaign.subject):,} characters; at most {headers.LINE_OCTETS}")
    _custom_headers(campaign.headers)
    if not campaign.html and not campaign.text:
        raise _Refused("html and text are both empty; give one of them")
    html, text = campaign.html or None, campaign.text or None
    for field, source in (("html", html), ("text", text)):
        _source(field, source or "")
    Template("subject", campaign.subject, autoescape=False)
    if text is not None:
        Template("text", text, autoescape=False)
    if html is not None:
        Template("html", html, autoescape=True)
        html = _inlined(html)
        text = text if text is not None else _derived(html)
    return msgspec.structs.replace(
        blank,
        state="compiled",
        reply_to=None if campaign.reply_to is None else _address("reply_to", campaign.reply_to),
        subject=campaign.subject,
        html=html,
        text=text,
        headers=dict(sorted(campaign.headers.items())),  # the version does not know their order, so bytes must not
        domain=signing,
        return_path_domain=bounces,
        dkim=domain.dkim,
    )


def _inlined(html: str) -> str:
    made = inline_styles(html)
    if made is html or len(made.encode()) > TEMPLATE_BYTES:
        return html
    try:
        Template("html", made, autoescape=True)
    except TemplateRefusedError:
        return html
    return made


def _derived(html: str) -> str | None:
    try:
        text = plain_text.derive(html)
        if text is not None:
            Template("text", text, autoescape=False)
    except TemplateRefusedError:
        return None
    except Exception as error:  # noqa: BLE001 - an HTML parser's errors have no common root (G8)
        raise _Refused(f"html: no text part can be made of it ({type(error).__name__}); give text too") from None
    return text


def _address(field: str, address: str) -> str:
    try:
        made = wire_address(address)
    except ValueError as error:
        raise _Refused(f"{field} {_quote(address)}: {error}; give one ASCII mailbox at a host name") from None
    if made.startswith('"'):
        # `"ceo@bank.example, x"@ours` is one mailbox to us and another to a program that reads quotes otherwise.
        raise _Refused(f"{field} {_quote(address)}: the local part needs quotes; use letters, digits, '.', '-' and '_'")
    return made


def _domain(field: str, name: str) -> str:
    try:
        return wire_domain(name)
    except ValueError as error:
        raise _Refused(f"{field} {_quote(name)}: {error}; correct the tenant's domains") from None


def _custom_headers(given: dict[str, str]) -> None:
    if len(given) > HEADER_COUNT:
        raise _Refused(f"headers: {len(given)} fields; at most {HEADER_COUNT}")
    seen: set[str] = set()
    for name, value in given.items():
        lower = name.lower()
        if not headers.FIELD_NAME.fullmatch(name):
            raise _Refused(f"headers {_quote(name)}: no field name; use letters, digits and '-', 70 at most")
        if lower in _OURS or lower.startswith(_OUR_FAMILIES):
            raise _Refused(f"headers {_quote(name)}: this field is set by the engine; remove it")
        if lower in seen:
            raise _Refused(f"headers {_quote(name)}: given twice; give it once")
        seen.add(lower)
        _header_text(f"headers.{name}", value)


def _header_text(field: str, text: str, *, template: bool = False) -> None:
    if found := headers.CONTROL.search(text):
        raise _Refused(
            f"{field} {_quote(text)}: holds U+{ord(found[0]):04X}, a line break or control character; remove it"
        )
    if not template and ("{{" in text or "{%" in text):
        raise _Refused(
            f"{field} {_quote(text)}: is no template; write it out, only subject, html and text are filled in"
        )
    _encodable(field, text)


def _source(field: str, source: str) -> None:
    size = len(_encodable(field, source))
    if size > TEMPLATE_BYTES:
        raise _Refused(f"{field}: {size:,} bytes; at most {TEMPLATE_BYTES:,}, host large pictures elsewhere")
    for character in _TEXT_CONTROLS:
        if character in source:
            line = source.count("\n", 0, source.index(character)) + 1
            raise _Refused(f"{field} line {line}: holds U+{ord(character):04X}, a control character; remove it")


def _encodable(field: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _Refused(f"{field}: holds half a surrogate pair at character {error.start}; send valid UTF-8") from None


def _quote(text: str) -> str:
    """A value for a message to people: escaped, and not a page of it."""
    return ascii(text) if len(text) <= 80 else ascii(text[:80]) + "…"  # noqa: PLR2004 - one line of a terminal
