"""What all gate partitions together may spend this second: the pools' windows, providers' capacity, campaigns' paces.

`read` takes what waits in the slots' queues, `grants` gives what follows from it and from the world.  Where the queues
can't be read for a while, what was granted goes on for KEPT_S: by then a sender that does nothing meanwhile has
LONGEST_S of mail, as long as any may have.  Then no pool is granted anything, and paces go on.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from schemas import ids
from streams.delivery.rollup import BY_HOST
from streams.delivery.shaping import Shaping
from streams.spread.capacity import pool_capacity, slot_rate
from streams.spread.dealing import Weights
from streams.spread.leases import Grants
from streams.spread.window import AIM_S, LONGEST_S, Queue, Windows
from streams.views import World

KEPT_S: Final = LONGEST_S - AIM_S
# Where a provider's limit decides, a slot drains just what it is granted: what once came to wait there (its sender was
# slow for a while) would wait for ever, and every later mail behind it.  So with more than so many seconds of it, of
# which two are what senders have not told yet, a twentieth less is granted: nobody runs dry, and a minute later it is
# gone.
EASED_ABOVE_S: Final = 3.0
EASED: Final = 0.95
# What is not gone after so long waits for another reason, a window that is full for one: then all is granted again, and
# it is tried anew so seldom that it costs less than a hundredth.
EASED_S: Final = 100.0
EVERY_S: Final = 600.0


class Granting:
    """Rests on a world that holds no leases: held slots have their weights there."""

    def __init__(self, world: World, shaping: Shaping) -> None:
        self._world = world
        self._shaping = shaping
        self._windows = Windows()
        self._pools: dict[str, float] = {}
        self._held: dict[str, tuple[int, ...]] = {}
        self._eased: dict[str, float] = {}  # since when
        self._read_at: float | None = None

    def slots(self) -> list[int]:
        """The slots whose queues are to be read."""
        return [one.slot for one in list(self._world.egress.values()) if one.state == "active"]

    def queue_s(self, pool: str, now: datetime) -> float:
        """Seconds of mail that wait in the longest queue of the pool's slots, by what each drains."""
        return max((self._windows.of(slot).queue_s for slot, _ in self._world.slots(pool, now)), default=0.0)

    def read(self, queues: Mapping[int, Queue], now: datetime, clock: float) -> None:
        """Take what waits; `clock` in seconds, of any clock that never steps back."""
        self._windows.observe(queues, clock)
        self._read_at = clock
        pools = sorted({one.pool for one in list(self._world.egress.values())})
        weights = {pool: self._world.slots(pool, now) for pool in pools}
        self._held = {pool: self._windows.hold(found) for pool, found in weights.items()}
        self._pools = {pool: self._windows.pool_rate(self._open(pool, found)) for pool, found in weights.items()}

    def grants(self, now: datetime, clock: float) -> Grants:
        """All of it."""
        known = self._read_at is not None and clock - self._read_at <= KEPT_S
        return Grants(
            paces=self._paces(now),
            capacity=self._capacity(now, clock),
            pools=dict(self._pools) if known else dict.fromkeys(self._pools, 0.0),
            held=tuple(sorted(slot for held in self._held.values() for slot in held)),
        )

    def _open(self, pool: str, weights: Weights) -> Weights:
        held = self._held[pool]
        return tuple(one for one in weights if one[0] not in held) if held else weights

    def _paces(self, now: datetime) -> dict[str, float]:
        """Of the campaigns that may go now, slowed as controls say."""
        paces = {}
        for key, campaign in list(self._world.campaigns.items()):  # in one step: another thread adds to them
            if campaign.pace_per_s is None or (campaign.expire_at is not None and campaign.expire_at <= now):
                continue
            if self._world.campaign_state(campaign, now) == "running":
                slowed = (
                    self._world.slow_to("campaign", key, "", now),
                    self._world.slow_to("tenant", campaign.tenant, "", now),
                )
                paces[key] = campaign.pace_per_s * min(slowed)
        return paces

    def _part(self, pool: str, now: datetime, clock: float) -> float:
        """What is granted of its providers' limits."""
        if clock - self._eased.get(pool, clock) >= EVERY_S:
            del self._eased[pool]
        if self.queue_s(pool, now) <= EASED_ABOVE_S:
            return 1.0
        since = self._eased.setdefault(pool, clock)
        return EASED if clock - since < EASED_S else 1.0

    def _capacity(self, now: datetime, clock: float) -> dict[str, float]:
        """Of each pool at each provider where anything bounds it."""
        found = {}
        providers = self._providers()
        for pool in self._pools:
            part = self._part(pool, now, clock)
            for provider in providers:
                weights = self._open(pool, self._world.weights(pool, provider, now))
                capacity = pool_capacity(weights, self._rates(provider, now))
                if capacity is not None:
                    found[f"{pool}/{provider}"] = part * capacity
        return found

    def _providers(self) -> set[str]:
        """Those that have limits of their own, those of which a sender learned any, and those that mail waits for.

        Not hosts that no list names: no mail is dealt under their names, and there are thousands.
        """
        demanded = (name.partition("/")[2] for one in list(self._world.demands.values()) for name in one.capacity)
        learned = (one.provider for one in list(self._world.conditions.values()))
        return {one for one in (*self._shaping.named, *learned, *demanded) if not one.startswith(BY_HOST)}

    def _rates(self, provider: str, now: datetime) -> Callable[[int], float | None]:
        limit = self._shaping.limits(provider).messages_per_s

        def rate(slot: int) -> float | None:
            condition = self._world.conditions.get(ids.slot_provider_key(slot, provider))
            slow_to = self._world.slow_to("slot", str(slot), provider, now)
            return slot_rate(condition, limit, slow_to=slow_to, now=now)

        return rate
