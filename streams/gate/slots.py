"""Which sending IP: one dealer a pool and provider, kept in the partition's tables.

`s/<pool>/<provider>` holds a dealer as of some deal, and `s/<pool>/<provider>/n` how many deals it made since.  Each
deal writes the small one; the other follows at new weights and now and then.  A restart deals that many again, for
nobody, and stands where it stood.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from streams.gate.state import State
from streams.spread.dealing import Dealer, Weights

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

    def __init__(self, state: State, partition: int) -> None:
        self._state = state
        self._partition = partition
        self._open: dict[str, _Open] = {}

    def deal(self, pool: str, provider: str, weights: Weights) -> Turn:
        """Where the next send goes; `weights` must not be empty."""
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
