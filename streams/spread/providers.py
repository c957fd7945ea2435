"""The mailbox provider behind a domain, from a closed list: dealing counts per provider, so the list must be short.

A domain belongs to the provider that lists it or the nearest parent of it; what nobody lists is `other`.  Which MX
hosts a domain really uses is the sender's knowledge (the MX roll-up), not needed here.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Final

OTHER: Final = "other"


def _load() -> dict[str, list[str]]:
    return tomllib.loads(resources.files(__package__).joinpath("providers.toml").read_text("utf-8"))


_TABLE: Final = _load()
DOMAINS: Final[Mapping[str, str]] = {domain: provider for provider, domains in _TABLE.items() for domain in domains}
PROVIDERS: Final[frozenset[str]] = frozenset(_TABLE) | {OTHER}


def provider_of(domain: str, overrides: Mapping[str, str]) -> str:
    """The provider of a lower-case A-label domain; `overrides` (domain to provider) win over the list."""
    name = domain
    while name:
        found = overrides.get(name) or DOMAINS.get(name)
        if found is not None:
            return found
        name = name.partition(".")[2]
    return OTHER
