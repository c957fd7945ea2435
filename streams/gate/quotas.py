"""What warming IPs may still take today, counted in the partition's tables: an allowance is never exceeded.

`q/<provider>/<slot>` holds a UTC day and how many mails this partition dealt to the slot on it, first deals and retries
on their own IP alike.  It is written in the batch's transaction, and a partition spends only its part of an allowance.
A slot whose part is used up is left out until midnight: the others take what would have been its mail.
"""

from dataclasses import dataclass
from datetime import datetime

from streams.gate.state import State
from streams.spread.dealing import Weights
from streams.spread.warmup import part
from streams.spread.weights import day_of, next_day
from streams.views.weighing import Share


@dataclass(kw_only=True, slots=True)
class _Used:
    """What a slot took, and the day that it counts on."""

    day: str
    count: int


@dataclass(kw_only=True, slots=True)
class _Open:
    """A pool's share out at one provider, and what is left of it; `used` of the day, by slot."""

    share: Share
    until: datetime
    used: dict[int, _Used]
    left: dict[int, int]
    weights: Weights


class Quotas:
    """The quotas of one gate partition."""

    def __init__(self, state: State, partition: int, *, partitions: int, width: int) -> None:
        """`partitions` share each allowance; `width` is that of the sends topics."""
        self._state = state
        self._partition = partition
        self._partitions = partitions
        self._width = width
        self._open: dict[tuple[str, str], _Open] = {}

    def usable(self, pool: str, provider: str, share: Share, now: datetime) -> Weights:
        """Who may take the next mail; one object until that changes.

        A slot beyond the topics' width has no partition: an egress entry must not stop the gate.
        """
        found = self._open.get((pool, provider))
        if found is None or found.share is not share or found.until <= now:
            found = self._open[pool, provider] = self._read(provider, share, now)
        return found.weights

    def _read(self, provider: str, share: Share, now: datetime) -> _Open:
        day = day_of(now)
        used = {slot: self._used(provider, slot, now) for slot in share.allowances}
        left = {
            slot: part(allowed, partition=self._partition, partitions=self._partitions, name=f"{slot}/{provider}/{day}")
            - used[slot].count
            for slot, allowed in share.allowances.items()
        }
        return _Open(share=share, until=next_day(now), used=used, left=left, weights=self._open_ones(share, left))

    def _open_ones(self, share: Share, left: dict[int, int]) -> Weights:
        gone = {slot for slot, count in left.items() if count <= 0}
        if not gone and all(slot < self._width for slot, _ in share.weights):
            return share.weights
        return tuple((slot, weight) for slot, weight in share.weights if slot < self._width and slot not in gone)

    def _used(self, provider: str, slot: int, now: datetime) -> _Used:
        """The day's count.

        A clock that was set back over midnight begins no day anew, now or when it is right again: the later day's
        count goes on under its name.  One that was wrong by more than a day closes no slot until that day.
        """
        day, latest = day_of(now), day_of(next_day(now))
        saved = self._state.get(_key(provider, slot))
        then, _, count = (saved or b"").decode().partition(" ")
        return _Used(day=then, count=int(count)) if day <= then <= latest else _Used(day=day, count=0)

    def spend(self, pool: str, provider: str, slot: int) -> None:
        """Count a mail for a slot that `usable` named just before."""
        found = self._open[pool, provider]
        if slot not in found.left:
            return
        used = found.used[slot]
        used.count += 1
        found.left[slot] -= 1
        self._state.put(_key(provider, slot), f"{used.day} {used.count}".encode())
        if not found.left[slot]:
            found.weights = self._open_ones(found.share, found.left)

    def forget(self) -> None:
        """Read all from the tables again: what was counted last may have been taken back."""
        self._open.clear()


def _key(provider: str, slot: int) -> bytes:
    return f"q/{provider}/{slot}".encode()
