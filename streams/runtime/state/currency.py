"""Whether a view holds all that its topics hold: their ends, asked for about once a second.

1. Each partition's end is asked of its own leader.  Where one does not answer, nothing is confirmed.
2. When all that was there is folded in, the view is confirmed as of the moment of asking.
3. Partitions are counted now and then: one that was added while we run would never be read, and the view not be whole.
"""

import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.runtime import metrics
from streams.runtime.errors import RuntimeFault

# The ends are asked for this often (s): two answers may be lost before a view is stale.
ASK_EVERY_S: Final = 0.8
# A leader that takes longer than this (s) is away, and its partition's end is not confirmed.
ASK_TIMEOUT_S: Final = 1.0
# Partitions are added by hand, once in years; for this long (s) what is written to a new one goes unseen.
COUNT_EVERY_S: Final = 30.0

Place = tuple[str, int]  # a topic's full name, a partition


class ViewError(RuntimeFault):
    """The compacted topics can't be read, or not any more."""


class Currency:
    """How far a view is behind its topics; asked by the thread that reads them."""

    def __init__(self, consumer: Consumer, names: Mapping[str, str], at: Mapping[Place, int]) -> None:
        """`names` maps full topic names to declared ones; `at` is where each place is read on from, kept up to date."""
        self._consumer = consumer
        self._names = names
        self._at = at
        self._ends: dict[Place, int] | None = None
        self._asked = 0.0
        self._counted = self._confirmed = time.monotonic()

    def age(self) -> float:
        """Seconds since the view was confirmed; before it first was, since it began to be made."""
        return time.monotonic() - self._confirmed

    def begin(self) -> None:
        """All was read to its end once."""
        self._confirmed = time.monotonic()

    def confirm(self) -> int | None:
        """Ask, where it is time; once all that was there is read, when that was asked (seconds since 1970)."""
        if self._ends is None and time.monotonic() - self._asked >= ASK_EVERY_S:
            self._asked = time.monotonic()
            self._ends = self._ask()
            self._tell_lag()
        if self._ends is None or self.behind():
            return None
        self._confirmed = self._asked
        self._ends = None
        return int(time.time() - (time.monotonic() - self._asked))

    def _ask(self) -> dict[Place, int] | None:
        """Each partition's end, from its own leader; None where one does not answer."""
        try:
            return {
                (topic, partition): self._consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=ASK_TIMEOUT_S
                )[1]
                for topic, partition in self._at
            }
        except KafkaException:
            return None

    def behind(self, topic: str | None = None) -> int:
        """How many offsets of a topic, or of all, are not folded in, as of the ends last asked for."""
        ends = self._ends or {}
        return sum(max(end - self._at[where], 0) for where, end in ends.items() if topic in {None, where[0]})

    def _tell_lag(self) -> None:
        if self._ends is not None:
            for topic, name in self._names.items():
                metrics.VIEW_LAG.labels(name).set(self.behind(topic))

    def check_width(self) -> None:
        """Raise ViewError where a topic has got more partitions than are read."""
        if time.monotonic() - self._counted < COUNT_EVERY_S:
            return
        self._counted = time.monotonic()
        try:
            found = self._consumer.list_topics(timeout=ASK_TIMEOUT_S).topics
        except KafkaException:
            return  # away: the ends are not confirmed either
        for name in self._names:
            here = sum(topic == name for topic, _ in self._at)
            there = len(found[name].partitions) if name in found else 0
            if there > here:
                raise ViewError(
                    f"topic {name!r} has {there} partitions now, {here} are read; the worker must start anew"
                )
