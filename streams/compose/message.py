"""Content and a send -> the bytes on the wire.

1. Address: the local part must be ASCII, the domain becomes A-labels (RFC 5891).
2. Render subject, HTML and text with the person's variables in the sandbox; a rendered subject with a line break or
   control character is refused, never folded into a second field, and so is one that no line would hold.
3. MIME: text/plain, or multipart/alternative with text before HTML (RFC 2046 5.1.4), UTF-8 in base64.
4. Header: written as strings in a fixed order, then scanned as a receiver reads it.  One-click unsubscribe: RFC 8058.
5. Sign with each of the domain's keys (RFC 6376).

All of it is a function of send and content - Date is the send's `created_at`, Message-ID and boundary come from its
id, links and Feedback-ID from what the content kept of the settings - so a resend is byte-identical above the
signature, whatever the settings are by then.  Deal and slot are in the envelope's return path alone.
"""

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import format_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from schemas.events import Content, Send
from schemas.ids import digest
from streams.compose import headers, plain_text
from streams.compose.addresses import wire_address
from streams.compose.dkim import Field, Signer
from streams.compose.errors import ComposeError, RenderError
from streams.compose.sandbox import Budget, RenderBounds, Template
from streams.compose.tokens import Tokens

_LINE: Final = 76  # characters of base64 on a line, RFC 2045 6.8
# Google shows Feedback-ID's parts as they are and keeps some 60 characters of each.
_FEEDBACK_PART: Final = 60


@dataclass(frozen=True, kw_only=True)
class ComposeSettings:
    """How large a message may be, and what it carries where its content kept no such terms (`compile.MailTerms`)."""

    unsubscribe_url: str  # https; the token is appended behind a slash
    feedback_id: str  # the pool's name at mailbox providers
    max_message_bytes: int = 10_000_000  # most receivers' SIZE limit is 10-35 MB
    bounds: RenderBounds = field(default_factory=RenderBounds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message for one mailbox: CRLF lines, not dot-stuffed."""

    envelope_from: str
    envelope_to: str
    data: bytes
    message_id: str


class Composer:
    """Composes all mail of one content version.  Raises ComposeError for content that is not compiled."""

    def __init__(
        self, content: Content, *, signers: Sequence[Signer], tokens: Tokens, settings: ComposeSettings
    ) -> None:
        if content.state != "compiled":
            raise ComposeError(f"content {content.version} of {content.campaign_id!r} is refused: {content.reason}")
        if not signers:
            raise ComposeError(f"content {content.version} of {content.campaign_id!r} has no DKIM key to sign with")
        self._content = content
        self._signers = tuple(signers)
        self._tokens = tokens
        self._settings = settings
        self._subject = Template("subject", content.subject, autoescape=False)
        self._html = None if content.html is None else Template("html", content.html, autoescape=True)
        self._text = None if content.text is None else Template("text", content.text, autoescape=False)
        self._from = headers.mailbox(content.from_.name, wire_address(content.from_.address))
        self._custom = [(name, headers.unstructured(name, text)) for name, text in content.headers.items()]
        self._unsubscribe_url = content.unsubscribe_url or settings.unsubscribe_url
        feedback = (content.campaign_id, content.tenant, content.kind, content.feedback_id or settings.feedback_id)
        self._feedback_id = ":".join(map(_feedback_part, feedback))

    def compose(self, send: Send) -> Message:
        """The message of this send.  Raises RenderError, whose words name the field and never the person's data."""
        try:
            to = wire_address(send.to.address)
        except ValueError as error:
            raise RenderError("to.address", str(error)) from None
        link = f"{self._unsubscribe_url}/{self._tokens.make_unsubscribe(send)}"
        variables = {**send.variables, "unsubscribe_url": link}
        budget = Budget(self._settings.bounds)
        subject = self._subject.render(variables, budget)
        if found := headers.CONTROL.search(subject):
            raise RenderError(
                "subject", f"a variable put U+{ord(found[0]):04X} into it, a line break or control character"
            )
        if len(subject) > headers.LINE_OCTETS:
            raise RenderError("subject", f"{len(subject):,} characters once rendered; at most {headers.LINE_OCTETS}")
        html = None if self._html is None else self._html.render(variables, budget)
        text = self._render_text(variables, html, budget)

        message_id = f"<{send.send_id}@{self._content.domain}>"
        try:
            content_fields, body = _body(text, html, boundary=f"=_{send.send_id}")
            fields: list[Field] = [
                ("From", self._from),
                ("To", to),
                ("Subject", headers.unstructured("Subject", subject)),
                ("Date", format_datetime(send.created_at.astimezone(UTC))),
                ("Message-ID", message_id),
                *([("Reply-To", self._content.reply_to)] if self._content.reply_to else ()),
                ("List-Unsubscribe", f"<{link}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
                ("Feedback-ID", self._feedback_id),
                *self._custom,
                ("MIME-Version", "1.0"),
                *content_fields,
            ]
            block = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii")
            headers.scan(block, [name.encode() for name, _ in fields])
        except RenderError:
            raise
        except UnicodeEncodeError:
            raise RenderError("variables", "half a surrogate pair, which is no text; send valid UTF-8") from None
        except ValueError as error:
            raise RenderError("header", str(error)) from None
        at = int(send.created_at.timestamp())
        signatures = b"".join(signer.sign(fields, body, at=at) for signer in self._signers)
        data = b"".join((signatures, block, b"\r\n", body))
        if len(data) > self._settings.max_message_bytes:
            limit = self._settings.max_message_bytes
            raise RenderError("message", f"{len(data):,} bytes once encoded; at most {limit:,}")
        return Message(
            envelope_from=self._tokens.make_return_path(send, self._content.return_path_domain),
            envelope_to=to,
            data=data,
            message_id=message_id,
        )

    def _render_text(self, variables: dict[str, object], html: str | None, budget: Budget) -> str:
        """The text part: from its template, or from this person's HTML where no template could be derived."""
        if self._text is not None:
            return self._text.render(variables, budget)
        try:
            return plain_text.convert(html or "")
        except Exception as error:  # noqa: BLE001 - an HTML parser's errors have no common root (G8)
            raise RenderError("text", f"can't be derived from the rendered html ({type(error).__name__})") from None


def _body(text: str, html: str | None, *, boundary: str) -> tuple[list[Field], bytes]:
    """The content fields of the header, and a body that is its own relaxed form (RFC 6376 3.4.4)."""
    if html is None:
        return [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "base64"),
        ], _encoded("text", text)
    part = "Content-Type: text/{}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(
        (
            opening,
            part.format("plain").encode(),
            _encoded("text", text),
            opening,
            part.format("html").encode(),
            _encoded("html", html),
            f"--{boundary}--\r\n".encode(),
        )
    )
    return [("Content-Type", f'multipart/alternative;\r\n boundary="{boundary}"')], body


def _encoded(field: str, text: str) -> bytes:
    """Base64 of the text with CRLF line breaks (RFC 2045 6.8), in lines of 76."""
    if "\0" in text:
        raise RenderError(field, "a variable put a NUL into it")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    octets = text.replace("\n", "\r\n").encode()
    encoded = binascii.b2a_base64(octets, newline=False)
    lines = len(encoded) // _LINE
    cut = lines * _LINE
    tail = encoded[cut:] + b"\r\n" if cut < len(encoded) else b""
    return b"\r\n".join((*_lines(lines).unpack(encoded[:cut]), tail))


@lru_cache(maxsize=128)
def _lines(count: int) -> struct.Struct:
    """Cuts `count` lines in one call: four times as fast as slicing them one by one."""
    return struct.Struct(f"{_LINE}s" * count)


def _feedback_part(text: str) -> str:
    """A part of Feedback-ID: no colon or blank in it; what is too long goes by its hash."""
    safe = quote(text, safe="")
    return safe if len(safe) <= _FEEDBACK_PART else digest(text)
