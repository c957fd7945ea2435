"""The input, and what a right run makes of it: made from numbers alone, so that it can be computed twice.

A record is about 200 bytes of JSON, as a recipient event of a small campaign; its key is the person.
"""

from collections import Counter
from collections.abc import Iterator

from streams.operate.bench.workloads import EVENTS_PER_PERSON

# Pads the JSON to 200 bytes.
_VARIABLES = {"name": "Aiko Tanaka", "points": "1,204", "shop": "Evenpost Shinjuku", "code": "8F3K-22QX-91"}


def persons(events: int) -> int:
    """How many persons they belong to."""
    return max(1, events // EVENTS_PER_PERSON)


def key(number: int, *, events: int) -> str:
    """The person of an event: a stride that is prime to any number of persons below it mixes them."""
    return f"shop:{number * 1_000_003 % persons(events):08d}"


def value(number: int, *, events: int) -> bytes:
    """The record's body."""
    variables = ",".join(f'"{name}":"{one}"' for name, one in _VARIABLES.items())
    to = f'"to":{{"channel":"email","address":"p{number}@example.net"}}'
    return f'{{"recipient_id":"{key(number, events=events)}","n":{number},{to},"variables":{{{variables}}}}}'.encode()


def make(events: int) -> Iterator[tuple[str, bytes]]:
    """All of it, in order."""
    for number in range(events):
        yield key(number, events=events), value(number, events=events)


def counts(events: int) -> Counter[bytes]:
    """What the table holds in the end: the number of events of each person."""
    return Counter(key(number, events=events).encode() for number in range(events))
