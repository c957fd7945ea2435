"""The MX roll-up: the mailbox provider behind a domain, by the hosts that take its mail.

1. A host under a suffix of rollup.toml belongs to that provider.
2. Else the hosts' own registrable name stands for them: `mx:<name>`, so that all domains at one host share one limit.

Equal hosts come shuffled by a resolver; the name does not depend on their order.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Final

from publicsuffixlist import PublicSuffixList

# Before the name of what rollup.toml does not know: none of the closed list of providers.
BY_HOST: Final = "mx:"
# Mail hosts remembered with their names, about 200 bytes each.
REMEMBERED: Final = 65_536


def rolled_up(hosts: Iterable[str]) -> str:
    """The provider of hosts that are equally preferred; at least one, lower case.  Raises ValueError."""
    found = sorted(hosts)
    if not found:
        raise ValueError("hosts = []: a roll-up needs at least one mail host")
    names = [_of_host(host) for host in found]
    return next((name for name in names if not name.startswith(BY_HOST)), names[0])


def is_named(provider: str) -> bool:
    """Whether it is one of rollup.toml's, and no host's own name."""
    return provider in _names()


@lru_cache(maxsize=REMEMBERED)
def _of_host(host: str) -> str:
    suffixes = _suffixes()
    name = host
    while name:
        provider = suffixes.get(name)
        if provider is not None:
            return provider
        name = name.partition(".")[2]
    return BY_HOST + (_public_suffixes().privatesuffix(host) or host)


@cache
def _suffixes() -> Mapping[str, str]:
    table = tomllib.loads(resources.files(__package__).joinpath("rollup.toml").read_text("utf-8"))
    found = {suffix: provider for provider, suffixes in table.items() for suffix in suffixes}
    if len(found) != sum(map(len, table.values())):
        raise ValueError("rollup.toml: a suffix belongs to one provider, and one of them stands twice")
    return found


@cache
def _names() -> frozenset[str]:
    return frozenset(_suffixes().values())


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()
