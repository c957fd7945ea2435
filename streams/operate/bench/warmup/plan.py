"""What thirty days bring: how many mails, when, to whom, and how receivers take them.  All by chance, of one seed.

The volumes are a shop-keepers' pool: less at the weekend, most in the morning, at noon and in the evening.  On the bad
days a provider defers much of what the new IPs send; on one a provider's readers complain.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from schemas.events import Egress, Via, Warmup

BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
WARM: Final = 16
NEW: Final = (16, 17)
PARTITIONS: Final = 6
POOL: Final = "shared"
SHARES: Final = {
    "gmail": 0.35,
    "docomo": 0.20,
    "yahoo-japan": 0.16,
    "icloud": 0.09,
    "microsoft": 0.08,
    "au": 0.06,
    "other": 0.05,
    "biglobe": 0.01,
}
# Parts of a day's mail by hour (UTC).
_HOURS: Final = (1, 1, 1, 1, 1, 2, 4, 7, 8, 6, 5, 6, 8, 6, 4, 4, 5, 7, 9, 8, 6, 4, 2, 1)
_WEEKDAYS: Final = (1.0, 1.05, 1.0, 1.0, 1.1, 0.7, 0.55)
# Of what the new IPs send there on that day (from 0): deferred, complained about.
BAD_DAYS: Final = {("gmail", 8): (0.40, 0.0), ("gmail", 9): (0.18, 0.0), ("docomo", 9): (0.04, 0.05)}
_DEFERRED: Final = {True: 0.04, False: 0.015}  # new IPs are greylisted more often
_COMPLAINED: Final = 0.0003
# Minutes until a deferred mail is tried again, at least and at most.
RETRY_MIN: Final = (5, 30)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run."""

    seed: int = 1
    days: int = 30
    mails: int = 24_000
    initial: int = 20
    factor: float = 1.3

    def egress(self) -> Iterator[Egress]:
        """Sixteen warm IPs, two that begin on the first day."""
        warmup = Warmup(started_at=BEGIN, initial_per_day=self.initial, factor=self.factor)
        for slot in range(WARM + len(NEW)):
            yield Egress(
                slot=slot,
                pool=POOL,
                via=Via(kind="bind", address=f"192.0.2.{slot}"),
                ehlo=f"m{slot}.mail.example",
                warmup=warmup if slot in NEW else None,
            )

    def minutes(self, chance: Random) -> Iterator[tuple[datetime, int]]:
        """Each minute of all days, and how many mails come in it."""
        total = sum(_HOURS)
        for day in range(self.days):
            volume = self.mails * _WEEKDAYS[day % len(_WEEKDAYS)] * chance.uniform(0.92, 1.08)
            for minute in range(24 * 60):
                expected = volume * _HOURS[minute // 60] / total / 60
                count = max(0, round(chance.gauss(expected, expected**0.5)))
                yield BEGIN + timedelta(days=day, minutes=minute), count

    def week_before(self) -> Iterator[tuple[datetime, int, str, int]]:
        """What the warm IPs did before the new ones came: (hour, slot, provider, mails)."""
        for day in range(len(_WEEKDAYS)):
            for provider, share in SHARES.items():
                for slot in range(WARM):
                    mails = round(self.mails * _WEEKDAYS[day] * share / WARM)
                    yield BEGIN - timedelta(days=len(_WEEKDAYS) - day, hours=-12), slot, provider, mails

    @staticmethod
    def deferred(slot: int, provider: str, day: int) -> float:
        """Which part of what an IP sends there is answered "later"."""
        if slot in NEW and (provider, day) in BAD_DAYS:
            return BAD_DAYS[provider, day][0]
        return _DEFERRED[slot in NEW]

    @staticmethod
    def complained(slot: int, provider: str, day: int) -> float:
        """Which part of what is accepted is complained about."""
        if slot in NEW and (provider, day) in BAD_DAYS:
            return max(_COMPLAINED, BAD_DAYS[provider, day][1])
        return _COMPLAINED


def day_number(moment: datetime) -> int:
    """Days since the begin."""
    return (moment - BEGIN).days
