"""Composers by content version, kept while their campaigns are under way."""

from collections import OrderedDict
from typing import Any, Final

from schemas.events import Content, Send
from streams.compose.dkim import KeyRing
from streams.compose.errors import TokenKeyMissingError
from streams.compose.message import Composer, ComposeSettings, Message
from streams.compose.tokens import Tokens
from streams.delivery.attempt import content_key
from streams.runtime.errors import KeyMissingError
from streams.runtime.keys import key_of_version
from streams.runtime.settings import Settings

# Compiled templates kept: a pool has some hundred campaigns under way at once.
COMPOSERS: Final = 512


class Composers:
    """Composers by content version, made when a send first needs one."""

    def __init__(self, settings: Settings, contents: dict[str, Any]) -> None:
        self._contents = contents
        self._deployment = settings
        self._keys = KeyRing(settings.key_root)
        self._settings = ComposeSettings(
            unsubscribe_url=settings.mail.unsubscribe_url, feedback_id=settings.mail.feedback_id
        )
        self._made: OrderedDict[str, Composer] = OrderedDict()

    def __call__(self, send: Send) -> Message | None:
        """Compose; None where the content is not here (yet)."""
        key = content_key(send)
        composer = self._made.get(key)
        if composer is None:
            content = self._contents.get(key)
            if content is None:
                return None
            signers = self._keys.signers(content.domain, content.dkim)
            composer = Composer(content, signers=signers, tokens=self._tokens(content), settings=self._settings)
            self._made[key] = composer
            if len(self._made) > COMPOSERS:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return composer.compose(send)

    def _tokens(self, content: Content) -> Tokens:
        """With the keys that the content names, so that a resend after a rotation has the same links."""
        secrets = self._deployment.secrets
        address_key = content.address_key or secrets.address_id_version
        try:
            return Tokens(
                key_of_version(self._deployment, "token", content.token_key or secrets.token_version),
                address_key=key_of_version(self._deployment, "address_id", address_key),
                address_key_version=address_key,
            )
        except KeyMissingError as error:
            # As with a DKIM key: the send waits until the file is back, and is not lost.
            raise TokenKeyMissingError(str(error)) from None
