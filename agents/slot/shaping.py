"""Whose mail a send is for its receiver, and what the slot may send there now, on the process's clocks.

1. The provider: of a domain that a list names, the list's; else by the hosts that take its mail (the MX roll-up).  A
   smarthost's hosts say nothing, so behind one it is what the dealer took it for.
2. Where the roll-up names another provider than the dealer did, `domains` says so: later mail is dealt by it.
3. Turns: the leave of an attempt to begin, and its end, which may let another begin.
4. What is to be told of the providers (`conditions`) is asked for by the process, for all its slots (`telling`).
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from agents.slot.shared import Shared
from agents.slot.under_way import heard
from schemas import ids, topics
from schemas.events import Condition, DomainProvider, Outcome, Send
from streams.delivery.errors import RouteError
from streams.delivery.rollup import is_named, rolled_up
from streams.delivery.slot_limits import Moment, SlotLimits, Turn
from streams.runtime.metrics import THROTTLED
from streams.spread.providers import OTHER, provider_of

_encode = msgspec.json.Encoder().encode
# Domains whose roll-up was told and is not in the view yet: told again after a restart, or when there are more.
MOST_TOLD: Final = 10_000


class Shaper:
    """One slot's, for as long as it is this process's."""

    def __init__(self, slot: int, shared: Shared) -> None:
        self._slot = slot
        self._shared = shared
        self._world = shared.world
        self._told: set[tuple[str, str]] = set()
        self.freed: Callable[[str], None] = lambda _: None
        self.limits = SlotLimits(
            slot,
            shared.shaping,
            connections=shared.settings.smtp.connections_per_host,
            before=shared.world.conditions,
            slow_to=lambda provider, at: shared.world.slow_to("slot", str(slot), provider, at),
        )

    async def provider(self, send: Send) -> str:
        """Whose limits hold for it.  Waits for DNS where its domain's hosts are not known yet."""
        domain = ids.canonical_address(send.to.address).rpartition("@")[2]
        listed = provider_of(domain, self._shared.settings.providers)
        if listed != OTHER or self._behind_smarthost() or not domain:
            return send.provider if listed == OTHER else listed
        try:
            route = await self._shared.router.resolve(domain)
        except RouteError:  # the attempt meets it as well, and says so
            return send.provider
        if not route.exchanges:
            return send.provider
        found = rolled_up(route.exchanges)
        known = self._world.providers.get(domain)
        if is_named(found):
            if found not in {send.provider, known}:
                self._tell_domain(
                    domain, DomainProvider(domain=domain, provider=found, hosts=route.exchanges, at=_at())
                )
        elif known is not None:
            self._tell_domain(domain, None)
        return found

    def now(self) -> Moment:
        """On both clocks."""
        return Moment(time.monotonic(), _at())

    def begin(self, provider: str) -> Turn:
        """One attempt begins."""
        return self.limits.begin(provider, self.now())

    def end(self, turn: Turn, outcome: Outcome | None) -> None:
        """It is over."""
        if outcome is not None and outcome.delivery.class_ == "throttled":
            THROTTLED.labels(shown(turn.provider)).inc()
        self.limits.end(turn, outcome, self.now())
        self.freed(turn.provider)

    def conditions(self) -> dict[str, Condition | None]:
        """What is to be told now, by its key in `conditions`."""
        return self.limits.news(self.now())

    def _behind_smarthost(self) -> bool:
        if self._shared.settings.smtp.route != "mx":
            return True
        egress = self._world.egress.get(str(self._slot))
        return egress is not None and egress.via.kind == "smarthost"

    def _tell_domain(self, domain: str, found: DomainProvider | None) -> None:
        """Once; where it gets lost, the next start tells it."""
        word = domain, "" if found is None else found.provider
        if word in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        topic = self._shared.settings.topic(topics.DOMAINS.name)
        try:
            told = self._shared.producer.offer(topic, None if found is None else _encode(found), key=domain.encode())
        except BufferError:  # the broker is away: the domain's next mail tells it
            return
        told.add_done_callback(heard)
        self._told.add(word)


def shown(provider: str) -> str:
    """The provider as metrics name it: of those of a list; all others are one."""
    return provider if is_named(provider) else OTHER


def _at() -> datetime:
    return datetime.now(UTC)
