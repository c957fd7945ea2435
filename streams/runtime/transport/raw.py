"""Raw records as Faust's events, without its codecs (FAUST.md 22).

Faust looks up a codec by name, twice a record, to find that raw bytes stay raw bytes: a third of what it costs to hand
a record over.  Agents decode what they read themselves, with msgspec.
"""

from collections.abc import Callable
from typing import Any

from faust.events import Event
from faust.serializers.schemas import Schema


class RawSchema(Schema[bytes, bytes]):
    """Key and value as the bytes they are; None stays None."""

    def __init__(self) -> None:
        super().__init__(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    def compile(self, app: Any, **_: Any) -> Callable[..., Any]:
        """What Faust calls for each record: nothing in it can fail."""

        async def decode(message: Any, *, propagate: bool = False) -> Event:
            del propagate
            return Event(app, message.key, message.value, message.headers, message)

        return decode
