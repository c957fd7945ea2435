"""What Kafka's topics hold of one send: dealings, SMTP transactions, and its ways back to the dealer.

The topics are read whole, since a send's partition is its slot, and its slot is what is asked for: some seconds for
each million of records.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.events import Intent, Return, Send
from schemas.topics import JOURNAL, RETURNS, SENDS_MARKETING, SENDS_TRANSACTIONAL, Topic
from streams.runtime.cluster import read_all
from streams.runtime.settings import Settings


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    sends: tuple[Send, ...]
    intents: tuple[Intent, ...]
    returns: tuple[Return, ...]


_SENDS: Final = msgspec.json.Decoder(Send)
_INTENTS: Final = msgspec.json.Decoder(Intent)
_RETURNS: Final = msgspec.json.Decoder(Return)
_OF_INTENT: Final = b'"entry":"intent"'


def records(settings: Settings, send_id: str) -> Records:
    """Read them.  Raises ClusterUnreachableError."""
    name = send_id.encode()
    intents = (value for value in _naming(settings, JOURNAL, name) if _OF_INTENT in value)
    return Records(
        sends=tuple(
            send
            for topic in (SENDS_TRANSACTIONAL, SENDS_MARKETING)
            for send in _of(send_id, _read(_SENDS, _naming(settings, topic, name)))
        ),
        intents=tuple(_of(send_id, _read(_INTENTS, intents))),
        returns=tuple(one for one in _read(_RETURNS, _naming(settings, RETURNS, name)) if one.send.send_id == send_id),
    )


def _naming(settings: Settings, topic: Topic, name: bytes) -> Iterator[bytes]:
    """The values that hold the name somewhere; to decode them all would take ten times as long."""
    return (record.value for record in read_all(settings, topic) if record.value and name in record.value)


def _read(decoder: msgspec.json.Decoder[Any], values: Iterator[bytes]) -> Iterator[Any]:
    """What decodes; a record that does not is a dead letter of its reader's."""
    for value in values:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            yield decoder.decode(value)


def _of(send_id: str, found: Iterator[Any]) -> Iterator[Any]:
    return (one for one in found if one.send_id == send_id)
