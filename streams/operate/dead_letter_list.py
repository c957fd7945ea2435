"""Dead letters as a list: why, where from, when, and the first bytes with mail addresses masked."""

from collections.abc import Iterable
from typing import Any, Final

from schemas.topics import DEAD_LETTERS
from streams.operate.dead_letter import Letter, replayed_place
from streams.runtime.cluster import KafkaRecord, read_all
from streams.runtime.logs import mask
from streams.runtime.settings import Settings

# Bytes of the original that are looked at, and characters of them that are shown.
LOOKED_AT: Final = 4_096
SHOWN: Final = 120
# Where replayed letters and markers leave too few of the newest, so many times more are read.
FURTHER: Final = 4


def newest(settings: Settings, limit: int) -> list[dict[str, Any]]:
    """The newest dead letters that were not replayed, newest first."""
    found = [one for one in _read(settings, limit, enough=limit) if one["replayed"] is None]
    return found[:limit]


def newest_of_all(settings: Settings, limit: int) -> list[dict[str, Any]]:
    """The newest dead letters, replayed ones as well, newest first."""
    return _read(settings, limit, enough=0)[:limit]


def _read(settings: Settings, last: int, *, enough: int) -> list[dict[str, Any]]:
    """Letters among the last records of each partition, of so many records that `enough` are not replayed."""
    before = -1
    while True:
        seen, letters = _told(read_all(settings, DEAD_LETTERS, last=last))
        if sum(one["replayed"] is None for one in letters) >= enough or seen == before:
            return sorted(letters, key=_when, reverse=True)
        last, before = last * FURTHER, seen


def _told(records: Iterable[KafkaRecord]) -> tuple[int, list[dict[str, Any]]]:
    """How many records there are, and the letters among them, each with when it was replayed."""
    seen, letters, replayed = 0, list[dict[str, Any]](), {}
    for record in records:
        seen += 1
        place = replayed_place(record)
        if place is None:
            letters.append(described(record))
        else:
            replayed[place] = record.at
    for one in letters:
        one["replayed"] = replayed.get(one["letter"])
        one["letter"] = "/".join(map(str, one["letter"]))
    return seen, letters


def described(record: KafkaRecord) -> dict[str, Any]:
    """A dead letter in words; what a header doesn't say is empty."""
    letter = Letter.of(record)
    # Mask first, cut then: a cut address would not be known as one.
    text = mask((record.value or b"")[:LOOKED_AT].decode("utf-8", "replace"))
    return {
        "at": letter.at,
        "reason": mask(letter.words),
        "role": letter.role,
        "topic": letter.topic,
        "partition": letter.source_partition,
        "offset": letter.source_offset,
        "bytes": letter.size,
        "letter": letter.place,
        "start": text[:SHOWN].encode("unicode_escape").decode() if not text.isprintable() else text[:SHOWN],
    }


def _when(told: dict[str, Any]) -> tuple[float, str]:
    return (told["at"].timestamp() if told["at"] is not None else 0.0, told["letter"])
