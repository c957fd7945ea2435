"""What one gate partition may deal: the pace of a campaign, and of marketing the capacity of its pool at its provider.

CONTROL leases rates (DESIGN.md, choice 14); here they are spent, from a bucket for each name.

1. A new mail of a paced campaign spends the campaign's pace, whatever its kind.
2. Marketing, new or come back, spends the capacity of its provider in the pool, where the lease names one, and the
   pool's.  A pool that the lease does not name has none.
3. Transactional mail waits for no capacity.  It is debited all the same, so that marketing yields to it.
4. Who arrives while others wait for the same waits behind them, credit or not.

Before the first lease, and after the end of one, there is neither pace nor capacity.  A lease that names no pool,
as a CONTROL of an earlier version issues it, bounds nothing but paces.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, NamedTuple

from schemas import ids
from schemas.events import Campaign, Lease, Send
from streams.spread.pace import Bucket, share_of_first
from streams.views.world import World

# Where a mail stands: it just came; its turn has come; or it is looked at before its turn, which can only end it.
Place = Literal["arrives", "next", "behind"]
Lack = Literal["pace", "capacity"]
_NOBODY: Final = frozenset[str]()
UNBOUNDED: Final = float("inf")


class _Purse(NamedTuple):
    name: str
    bucket: Bucket
    rate: float

    def holds(self, now: datetime) -> float:
        """How many sends it pays for; one that is filled no more pays for none."""
        held = self.bucket.tokens(self.rate, now)  # also at no rate: time passes without anything coming in
        return held if self.rate > 0.0 else 0.0


class Credit:
    """The purses of one gate partition."""

    def __init__(self, partition: int, world: World) -> None:
        self._partition = partition
        self._lease_key = str(partition)
        self._world = world
        self._buckets: dict[str, Bucket] = {}
        self._lease: Lease | None = None
        self._lasts = False
        self._at: datetime | None = None
        self._capacity: dict[tuple[str, str], tuple[_Purse, ...]] = {}
        self._waited_for: frozenset[str] = frozenset()

    def take(self, send: Send, campaign: Campaign, place: Place, now: datetime) -> Lack | None:
        """Pay for a mail that may go otherwise, or say what it has to wait for."""
        pace = None
        if send.deal == 0 and campaign.pace_per_s is not None:
            pace = self._pace(ids.campaign_key(campaign.tenant, campaign.campaign_id), now)
            if not self._pays(pace, place, now):
                return "pace"
        purses = self._purses(campaign.pool, send.provider, now)
        if send.kind == "transactional":
            for purse in purses:
                purse.bucket.debit(purse.rate, now)
        else:
            if place == "behind":
                return "capacity"
            ahead = self._waited_for if place == "arrives" else _NOBODY
            for purse in purses:  # as `_pays`, without its calls: each mail comes by
                if purse.bucket.tokens(purse.rate, now) < 1.0 or purse.rate <= 0.0 or purse.name in ahead:
                    self._waited_for |= {purse.name}
                    return "capacity"
            for purse in purses:
                purse.bucket.spend()
        if pace is not None:
            pace.bucket.spend()
        return None

    def _pays(self, purse: _Purse, place: Place, now: datetime) -> bool:
        ahead = self._waited_for if place == "arrives" else _NOBODY
        if place != "behind" and purse.name not in ahead and purse.holds(now) >= 1.0:
            return True
        self._waited_for |= {purse.name}
        return False

    # ── what waits ───────────────────────────────────────────────────────────────────────────────────────────────────

    def has_pace(self, campaign: Campaign, now: datetime) -> bool:
        """Whether a new mail of the campaign may go, as far as its pace goes."""
        if campaign.pace_per_s is None:
            return True
        return self._pace(ids.campaign_key(campaign.tenant, campaign.campaign_id), now).holds(now) >= 1.0

    def capacity(self, pool: str, provider: str, now: datetime) -> float:
        """How many sends the pool may deal to the provider now, of what is the provider's own."""
        return min((one.holds(now) for one in self._purses(pool, provider, now)[1:]), default=UNBOUNDED)

    def pool_capacity(self, pool: str, provider: str, now: datetime) -> float:
        """How many sends the pool may deal now, whoever the provider is."""
        return min((one.holds(now) for one in self._purses(pool, provider, now)[:1]), default=UNBOUNDED)

    def ready_at(self, campaign: Campaign, provider: str, now: datetime, *, new: bool) -> datetime | None:
        """When a mail of the campaign to the provider can go; None while nobody grants it anything."""
        purses = [] if campaign.kind == "transactional" else list(self._purses(campaign.pool, provider, now))
        if new and campaign.pace_per_s is not None:
            purses.append(self._pace(ids.campaign_key(campaign.tenant, campaign.campaign_id), now))
        if any(one.rate <= 0.0 for one in purses):
            return None
        return max((one.bucket.ready_at(one.rate, now) for one in purses), default=now)

    def waited_for(self, *, paced: Iterable[Campaign], capacity: Iterable[tuple[str, str]], now: datetime) -> None:
        """Who is left waiting behind a release: nobody overtakes them.

        `paced`: campaigns of which new mails wait; `capacity`: the (pool, provider) that marketing waits for.
        """
        names: set[str] = set()
        for campaign in paced:
            purse = self._pace(ids.campaign_key(campaign.tenant, campaign.campaign_id), now)
            if purse.holds(now) < 1.0:
                names.add(purse.name)
        for pool, provider in capacity:
            whole, *own = self._purses(pool, provider, now) or (None,)
            names.update(one.name for one in own)
            if whole is not None and whole.holds(now) < 1.0:
                names.add(whole.name)
        self._waited_for = frozenset(names)

    # ── purses ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pace(self, campaign_key: str, now: datetime) -> _Purse:
        lease = self._leased(now)
        rate = lease.pace_per_s.get(campaign_key, 0.0) if lease is not None and self._lasts else 0.0
        name = f"pace {campaign_key}"
        if name not in self._buckets:
            self._buckets[name] = Bucket(now, first=share_of_first(self._partition, campaign_key))
        return self._purse(name, rate, now)

    def _purses(self, pool: str, provider: str, now: datetime) -> tuple[_Purse, ...]:
        """The pool's, then what is the provider's own; none where nothing is bounded."""
        lease = self._leased(now)
        if lease is not None and not lease.per_pool_s:
            return ()
        found = self._capacity.get((pool, provider))
        if found is None:
            found = self._capacity[pool, provider] = self._leased_purses(lease, pool, provider, now)
        return found

    def _leased_purses(self, lease: Lease | None, pool: str, provider: str, now: datetime) -> tuple[_Purse, ...]:
        if lease is None:
            return (self._purse(f"pool {pool}", 0.0, now),)
        part = 1.0 if self._lasts else 0.0
        whole = self._purse(f"pool {pool}", part * lease.per_pool_s.get(pool, 0.0), now)
        name = f"{pool}/{provider}"
        if name not in lease.capacity_per_s:
            return (whole,)
        return (whole, self._purse(name, part * lease.capacity_per_s[name], now))

    def _purse(self, name: str, rate: float, now: datetime) -> _Purse:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(now)
        return _Purse(name, bucket, rate)

    def _leased(self, now: datetime) -> Lease | None:
        """The lease as it stands; `_lasts` says whether it still does."""
        lease = self._world.leases.get(self._lease_key)
        if lease is not self._lease or now is not self._at:
            lasts = lease is not None and now < lease.expires_at
            if lease is not self._lease or lasts != self._lasts:
                self._capacity.clear()
            self._lease, self._lasts, self._at = lease, lasts, now
        return lease
