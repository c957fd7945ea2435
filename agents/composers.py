"""Composers by content version, kept while their campaigns are under way."""

from collections import OrderedDict
from typing import Any, Final

from schemas.events import Send
from streams.compose.dkim import KeyRing
from streams.compose.message import Composer, ComposeSettings, Message
from streams.compose.tokens import Tokens
from streams.delivery.attempt import content_key
from streams.runtime.keys import load_key
from streams.runtime.settings import Settings

# Compiled templates kept: a pool has some hundred campaigns under way at once.
COMPOSERS: Final = 512


class Composers:
    """Composers by content version, made when a send first needs one."""

    def __init__(self, settings: Settings, contents: dict[str, Any]) -> None:
        self._contents = contents
        self._keys = KeyRing(settings.key_root)
        self._tokens = Tokens(
            load_key(settings, "token"),
            address_key=load_key(settings, "address_id"),
            address_key_version=settings.secrets.address_id_version,
        )
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
            composer = Composer(content, signers=signers, tokens=self._tokens, settings=self._settings)
            self._made[key] = composer
            if len(self._made) > COMPOSERS:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return composer.compose(send)
