"""Whether a measured process was right: what Kafka holds afterwards, against the input computed anew.

A rate of a run that lost or doubled something is worth nothing, so each fault fails the bench.
"""

import time
from collections import Counter
from typing import Final

from streams.operate.bench import events
from streams.operate.bench.stage import scratch
from streams.operate.bench.workloads import SOURCE, Measured, Task
from streams.runtime import scratch_topics
from streams.runtime.cluster import read_all
from streams.runtime.settings import Settings
from streams.runtime.state.tables import OWN

# Seconds until the offsets of a process that has ended are looked at for the last time.
COMMITTED_S: Final = 3.0
ASK_AGAIN_S: Final = 0.1


def faults(settings: Settings, task: Task, measured: Measured) -> list[str]:
    """What is wrong, a line each."""
    ends = scratch_topics.ends(settings, settings.topic(SOURCE))
    found = _counted(task, measured, ends) + _committed(settings, task, ends)
    if task.workload == "table":
        found += _table(settings, task)
    if task.workload == "send":
        found += _sent(settings, task)
    return found


def _counted(task: Task, measured: Measured, ends: dict[int, int]) -> list[str]:
    checksum = sum(end * (end - 1) // 2 for end in ends.values())
    if measured.seen == task.events == sum(ends.values()) and measured.checksum == checksum:
        return []
    return [f"{measured.seen:,} events counted, {sum(ends.values()):,} are in Kafka (or not the same ones)"]


def _committed(settings: Settings, task: Task, ends: dict[int, int]) -> list[str]:
    deadline = time.monotonic() + COMMITTED_S
    while True:
        committed = scratch_topics.committed(settings, settings.topic(task.run), settings.topic(SOURCE))
        if committed == ends:
            return []
        if time.monotonic() > deadline:
            return [f"offsets committed are {committed}, the ends {ends}"]
        time.sleep(ASK_AGAIN_S)


def _table(settings: Settings, task: Task) -> list[str]:
    records = [(record.key.encode(), record.value) for record in read_all(settings, scratch(task.changelog))]
    table = {key: value for key, value in records if not key.startswith(OWN)}
    right = {person: b"%d" % count for person, count in events.counts(task.events).items()}
    wrong = sum(table.get(person) != right.get(person) for person in table.keys() | right.keys())
    return [f"{wrong:,} of {len(right):,} persons have another count in the changelog"] if wrong else []


def _sent(settings: Settings, task: Task) -> list[str]:
    sent = Counter(record.value or b"" for record in read_all(settings, scratch(task.output)))
    asked = Counter(value for _, value in events.make(task.events))
    missing, beyond = (asked - sent).total(), (sent - asked).total()
    return [f"{missing:,} records missing in the output, {beyond:,} too many"] if missing or beyond else []
