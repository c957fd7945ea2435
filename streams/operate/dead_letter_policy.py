"""Which dead letters a replay takes: by reason, time, topic and role; and which topics it may write to.

A replayed record is a new event at new coordinates.  So it may go only where a second event about the same thing is
either meant or recognised: the gate knows a mail by its send id and a return by its deal, a suppression request says
the same twice.  Everywhere else a replay could make a second final outcome, or put an old word over a newer one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from schemas import topics
from streams.operate.dead_letter import Letter

REPLAYABLE: Final = {
    topic.name: topic
    for topic in (
        topics.RECIPIENTS_TRANSACTIONAL,
        topics.RECIPIENTS_MARKETING,
        topics.RETURNS,
        topics.SUPPRESSION_REQUESTS,
        topics.FEEDBACK,
    )
}
_LAST_WORD: Final = "its topic keeps the last word of each key, and an old one must not replace a newer: write it anew"
_ENDED: Final = "its send has a final outcome, and would get a second one"
_OURS: Final = "its topic is written by Evenpost alone, and its readers would count it twice"
_WHY_NOT: Final = {topic.name: _LAST_WORD for topic in topics.TOPICS if topic.compacted} | {
    topics.SENDS_TRANSACTIONAL.name: _ENDED,
    topics.SENDS_MARKETING.name: _ENDED,
    topics.DELIVERIES.name: _OURS,
    topics.INCIDENTS.name: _OURS,
    topics.JOURNAL.name: _OURS,
}
_WILD: Final = frozenset("*?[")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def obstacle(letter: Letter) -> str | None:
    """Why the letter can't be replayed; None where it can."""
    if letter.topic not in REPLAYABLE:
        return _WHY_NOT.get(letter.topic, "no topic of that name is known")
    return "only the beginning of it was kept: it was larger than a dead letter may be" if letter.cut else None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is asked for; what is left empty takes any."""

    reason: str = ""
    topics: frozenset[str] = field(default_factory=frozenset)
    role: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is meant."""
        if self.topics and letter.topic not in self.topics:
            return False
        if self.role and letter.role != self.role:
            return False
        return self._in_time(letter.at) and _means(self.reason, letter)

    def _in_time(self, at: datetime | None) -> bool:
        if at is None:
            return self.since is None and self.until is None
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def _means(reason: str, letter: Letter) -> bool:
    """A part of the words, whatever the case; with * ? or [ a pattern for the reason, or for all the words."""
    wanted = reason.casefold()
    if _WILD.isdisjoint(wanted):
        return wanted in letter.words.casefold()
    return any(fnmatchcase(text.casefold(), wanted) for text in (letter.reason, letter.words))


def moment(text: str, now: datetime) -> datetime:
    """`2026-11-24T09:00:00+09:00`, or how long ago: `90m`, `12h`, `3d`.  Raises ValueError."""
    if text[:-1].isdecimal() and text[-1:] in _UNITS:
        try:
            return now - timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        except OverflowError:
            raise ValueError("that is before all time") from None
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("it must say its time zone, such as Z or +09:00")
    return found
