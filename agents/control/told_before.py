"""What CONTROL told before, read back by whoever takes over: incidents and volumes."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
import structlog

from schemas import topics
from schemas.events import Incident, Volume
from streams.control.history import History
from streams.control.rules import VolumeTerms
from streams.runtime.cluster import read_all
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)


def incidents(settings: Settings) -> list[Incident]:
    """All that the topic holds (30 days).  Raises ClusterUnreachableError."""
    found = []
    for record in read_all(settings, topics.INCIDENTS):
        try:
            found.append(msgspec.json.decode(record.value or b"", type=Incident))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # a foreign record stops nothing
            log.warning("an incident can't be read", offset=record.offset, error=str(error))
    return found


def volumes(settings: Settings, history: History, terms: VolumeTerms, now: datetime) -> list[str]:
    """Put the topic's volumes into the history; the keys of what is older than it is kept, or of no use.

    Raises ClusterUnreachableError.
    """
    stale: dict[str, None] = {}
    for key, volume in _volumes(settings):
        if volume is None:
            stale.pop(key, None)
        elif volume.begins_at < now - terms.kept:
            stale[key] = None
        else:
            history.put(volume)
    history.ready = True
    return list(stale)


def _volumes(settings: Settings) -> Iterator[tuple[str, Volume | None]]:
    decode = msgspec.json.Decoder(Volume).decode
    for record in read_all(settings, topics.VOLUMES):
        try:
            yield record.key, None if record.value is None else decode(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("a volume can't be read", offset=record.offset, error=str(error))
