"""The events of a chaos run, and what a worker must make of them.  Pure.

An event is a number; its key is its person.  Its effect is one record on the output and one write in the table: the
person's count and a chain of all their numbers so far, so that an event lost, doubled or out of order changes every
entry after it.  One event in `WAITS_EVERY` waits in the table for a second first, as mail in the waiting room does.
"""

import hashlib
from typing import Final

import msgspec

# The two kinds of workers, by the first part of their names: those that decide in transactions, and plain agents.
DEALING: Final = "chaos"
PLAIN: Final = "plain"

# Two sources of one width, decided by one owner, as the gate has them.
SOURCES: Final = ("recipients.transactional", "recipients.marketing")
OUTPUT: Final = "sends.marketing"
CHANGELOG: Final = "gate-state"
# The second workload: a plain agent that acks an event when what it produced is durable.
PLAIN_SOURCE: Final = "returns"
PLAIN_OUTPUT: Final = "journal"

# One plain event beside so many of the others.
PLAIN_EVERY: Final = 10

PERSONS: Final = 2_000
WAITS_EVERY: Final = 16
WAIT_MS: Final = 1_000

_EMPTY: Final = (0, b"")


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """The output of one event: its coordinates and number, what the table says then, and who decided it."""

    topic: str
    partition: int
    offset: int
    number: int
    count: int
    chain: str
    member: str
    pid: int


class PlainEffect(msgspec.Struct, frozen=True, kw_only=True):
    """The output of one event of a plain agent."""

    partition: int
    offset: int
    number: int


def person(number: int) -> str:
    """Whose event it is."""
    return f"chaos:u{number * 2_654_435_761 % 2**32 % PERSONS}"  # Knuth's multiplier spreads neighbours


def waits(number: int) -> bool:
    """Whether the event's output waits."""
    return number % WAITS_EVERY == 0


def person_key(topic: str, key: bytes) -> bytes:
    """The table's key of a person, one for each source: between two sources there is no order."""
    return b"p/%s/%s" % (topic.encode(), key)


def entry(count: int, chain: bytes) -> bytes:
    """The table's value."""
    return b"%d %s" % (count, chain)


def parsed(value: bytes | None) -> tuple[int, bytes]:
    """Count and chain of a table's value."""
    if value is None:
        return _EMPTY
    count, _, chain = value.partition(b" ")
    return int(count), chain


def linked(chain: bytes, number: int) -> bytes:
    """The chain with one number more."""
    return hashlib.blake2b(b"%s %d" % (chain, number), digest_size=8).hexdigest().encode()
