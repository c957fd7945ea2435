"""Whom the tenants write to: recipients of 200 domains of the known providers, and a long tail.  Pure, by the seed.

1. Tenants' volumes fall as 1/rank (Zipf), and so do the domains'.
2. Every so-manieth recipient has a domain of the tail, each of them once.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Final

import msgspec

from schemas import ids
from schemas.events import Destination, Recipient
from schemas.topics import RECIPIENTS_MARKETING, RECIPIENTS_TRANSACTIONAL, Topic
from streams.operate.bench.spread import scene
from streams.spread.providers import DOMAINS

KNOWN_DOMAINS: Final = 200
TAIL_DOMAINS: Final = 10_000
# Of a small run at most every fourth recipient is of the tail.
_TAIL_EVERY_AT_LEAST: Final = 4
# Drawn at once: drawing one by one takes five times as long.
_DRAWN: Final = 1_000


class Asked(msgspec.Struct, frozen=True):
    """One recipient event."""

    topic: Topic
    key: str
    body: bytes


def known_domains() -> list[str]:
    """The listed domains of each provider, then subdomains of them, which belong to the same one."""
    listed = list(DOMAINS)
    numbered = (f"m{number}.{domain}" for number in itertools.count(1) for domain in listed)
    return [*listed, *itertools.islice(numbered, max(0, KNOWN_DOMAINS - len(listed)))][:KNOWN_DOMAINS]


def tail_every(events: int) -> int:
    """Every so-manieth recipient is of the tail."""
    return max(_TAIL_EVERY_AT_LEAST, events // TAIL_DOMAINS)


def people(events: int, *, seed: int) -> Iterator[Asked]:
    """So many recipient events."""
    chance = random.Random(seed)  # noqa: S311  # a seed's draw, no secret
    ranks, domains = range(scene.TENANTS), known_domains()
    by_rank = list(itertools.accumulate(1 / (rank + 1) for rank in ranks))
    by_domain = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(domains))))
    every = tail_every(events)
    for start in range(0, events, _DRAWN):
        count = min(_DRAWN, events - start)
        drawn = zip(
            chance.choices(ranks, cum_weights=by_rank, k=count),
            chance.choices(domains, cum_weights=by_domain, k=count),
            strict=True,
        )
        for number, (rank, known) in enumerate(drawn, start):
            tail, rest = divmod(number, every)
            domain = f"d{tail:05d}.example" if rest == 0 and tail < TAIL_DOMAINS else known
            yield _asked(number, rank, domain)


def _asked(number: int, rank: int, domain: str) -> Asked:
    tenant, person = scene.tenant_id(rank), f"p{number:07d}"
    transactional = scene.kind(rank) == "transactional"
    recipient = Recipient(
        tenant=tenant,
        campaign_id=scene.CAMPAIGN,
        recipient_id=person,
        to=Destination(address=f"{person}@{domain}"),
        dedup_key=person if transactional else None,
    )
    return Asked(
        RECIPIENTS_TRANSACTIONAL if transactional else RECIPIENTS_MARKETING,
        ids.person_key(tenant, person),
        msgspec.json.encode(recipient),
    )
