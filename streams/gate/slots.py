"""Which sending IP: one dealer a pool and provider, kept in the partition's tables.

`s/<pool>/<provider>` holds a dealer as of some deal, and `s/<pool>/<provider>/n` how many deals it made since.  Each
deal writes the small one; the other follows at new weights and now and then.  A restart deals that many again, for
nobody, and stands where it stood.  What warming IPs take is counted beside it (streams.gate.quotas).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from streams.gate.quotas import Quotas
from streams.gate.state import State
from streams.spread.dealing import Dealer, Weights
from streams.views.weighing import Share

# At 400 slots a dealer is 7 KB and a deal 2 us: a restart costs 1 ms a dealer, a deal 14 bytes of changelog more.
SAVE_EVERY: Final = 512


class Turn(NamedTuple):
    """One deal: its slot, the version of the weights, and the how-manieth of its pool and provider it is."""

    slot: int
    version: int
    number: int


@dataclass(kw_only=True, slots=True)
class _Open:
    dealer: Dealer
    since_saved: int


class Slots:
    """The dealers of one gate partition."""

    def __init__(self, state: State, partition: int, *, partitions: int, width: int) -> None:
        """`partitions` is the gate's P, `width` that of the sends topics."""
        self._state = state
        self._partition = partition
        self._open: dict[str, _Open] = {}
        self._quotas = Quotas(state, partition, partitions=partitions, width=width)

    def usable(self, pool: str, provider: str, share: Share, now: datetime) -> Weights:
        """Who may take the next mail, and how large a part: one object until that changes; empty = nobody."""
        return self._quotas.usable(pool, provider, share, now)

    def keep(self, pool: str, provider: str, slot: int) -> None:
        """A retry goes to the slot that it had, which is among the `usable` ones: no deal, but it counts there."""
        self._quotas.spend(pool, provider, slot)

    def deal(self, pool: str, provider: str, weights: Weights) -> Turn:
        """Where the next send goes; `weights` are the `usable` ones, not empty."""
        name = f"{pool}/{provider}"
        found = self._open.get(name)
        if found is None:
            found = self._open[name] = self._load(name, weights)
        dealer = found.dealer
        before = dealer.version
        slot = dealer.deal(weights)
        found.since_saved += 1
        key = f"s/{name}".encode()
        if dealer.version != before or found.since_saved >= SAVE_EVERY:
            self._state.put(key, dealer.to_bytes())
            found.since_saved = 0
        self._state.put(key + b"/n", b"%d" % found.since_saved)
        self._quotas.spend(pool, provider, slot)
        return Turn(slot, dealer.version, dealer.turns)

    def _load(self, name: str, weights: Weights) -> _Open:
        key = f"s/{name}".encode()
        saved = self._state.get(key)
        if saved is None:
            dealer = Dealer(f"{self._partition}/{name}", weights)
            self._state.put(key, dealer.to_bytes())
            return _Open(dealer=dealer, since_saved=0)
        dealer = Dealer.from_bytes(saved)
        deals = int(self._state.get(key + b"/n") or b"0")
        dealer.skip(deals)
        return _Open(dealer=dealer, since_saved=deals)

    def forget(self) -> None:
        """Read all from the tables again: what was dealt last may have been taken back."""
        self._open.clear()
        self._quotas.forget()
