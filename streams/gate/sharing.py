"""A pool's credit among tenants: each by its share, of the pool and of each provider whose credit is short.

The pool's fair queue says whose turn it is.  A provider is short when its credit would not do for one mail of each
tenant that waits for it; then the provider's own fair queue says who may take it.  So a tenant whose mail goes to one
provider alone has its share there, and one that writes to all has no more of the pool than its weight says.
"""

from collections.abc import Callable, Iterable
from typing import Final

from streams.gate.agenda import Line
from streams.gate.rota import LastTurns, Rota
from streams.spread.fair import FairQueue

# Rows of one line in a row before the next has its turn: enough to make a scan worth it, few enough to be fair.
TURN: Final = 16
_NOBODY_LEFT: Final = ""


class Tags:
    """The fair queues of a gate partition, by pool and by pool and provider; and whose turn was last."""

    def __init__(self) -> None:
        self._queues: dict[str, FairQueue] = {}
        self.last = LastTurns()

    def queue(self, name: str) -> FairQueue:
        """The tags of those that share this."""
        return self._queues.setdefault(name, FairQueue())


class Sharing:
    """One release's share-out of one pool."""

    def __init__(
        self,
        pool: str,
        lines: Iterable[Line],
        *,
        tags: Tags,
        weight: Callable[[str], float],
        pool_left: Callable[[], float],
        left: Callable[[str], float],
    ) -> None:
        """`weight` of a tenant; `pool_left`, and `left` for a provider, are the sends that credit pays for now."""
        self._pool = pool
        self._tags = tags
        self._weight = weight
        self._pool_left = pool_left
        self._left = left
        by_tenant: dict[str, list[Line]] = {}
        self._waiting_for: dict[str, dict[str, int]] = {}  # provider -> tenant -> lines
        for line in lines:
            tenant = _tenant(line)
            by_tenant.setdefault(tenant, []).append(line)
            self._count(line, 1)
        self._rotas = {tenant: Rota(tenant, own, tags.last) for tenant, own in by_tenant.items()}
        self._may = dict.fromkeys(self._rotas)  # an ordered set: who is not known to be unable

    def _count(self, line: Line, more: int) -> None:
        tenants = self._waiting_for.setdefault(line.provider, {})
        tenant = _tenant(line)
        tenants[tenant] = tenants.get(tenant, 0) + more
        if not tenants[tenant]:
            del tenants[tenant]

    def next(self, most: int) -> tuple[Line, int] | None:
        """The line whose turn it is, and how many of its mails at most; None when nobody's may go."""
        pool_left = self._pool_left()
        while self._may and pool_left >= 1.0:
            tenant = self._tags.queue(self._pool).next(self._may)
            line = self._rotas[tenant].pick(self._takes)
            if line is not None:
                each = min(pool_left / len(self._rotas), self._left(line.provider) / self._crowd(line.provider))
                return line, max(1, int(min(TURN, most, each)))
            del self._may[tenant]
        return None

    def _crowd(self, provider: str) -> int:
        return len(self._waiting_for[provider])

    def _takes(self, line: Line) -> bool:
        left = self._left(line.provider)
        return left >= 1.0 and (left >= self._crowd(line.provider) or self._first(line.provider) == _tenant(line))

    def _first(self, provider: str) -> str:
        tenants = self._waiting_for[provider]
        return self._tags.queue(f"{self._pool}/{provider}").next(tenants) if tenants else _NOBODY_LEFT

    def had(self, line: Line, dealt: int, *, more: bool) -> None:
        """The line had its turn; `more`: it may have another."""
        tenant, weight = _tenant(line), self._weight(_tenant(line))
        if dealt:
            self._tags.queue(self._pool).charge(tenant, weight, dealt)
            self._tags.queue(f"{self._pool}/{line.provider}").charge(tenant, weight, dealt)
        rota = self._rotas[tenant]
        rota.served(line)
        if not more:
            rota.drop(line)
            self._count(line, -1)
            if not len(rota):
                del self._rotas[tenant]
                self._may.pop(tenant, None)
        # Whose turn it is at this provider has moved on: to one that was passed over, maybe.
        if (first := self._first(line.provider)) in self._rotas:
            self._may.setdefault(first)

    def left(self) -> list[Line]:
        """What waits on."""
        return [line for rota in self._rotas.values() for line in rota]


def _tenant(line: Line) -> str:
    return line.standing.key.partition(":")[0]
