"""Which addresses this host can send from: those of its interfaces, or what `smtp.addresses` says.

A slot that binds an address must be with a worker that has it (DESIGN.md, choice 8).  Interfaces don't tell all: a
host may own a whole network by a route of kind `local`, or bind what it does not have (`ip_nonlocal_bind`); then the
setting names addresses and networks, and alone counts.
"""

import ipaddress
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import psutil

from streams.runtime.settings import SmtpSettings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Addresses:
    """A set of addresses, as networks (a single address is a network of one)."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Addresses and networks by their text; what can't be read as one is left out."""
        found = [network for text in texts if (network := _network(text)) is not None]
        four = (network for network in found if isinstance(network, ipaddress.IPv4Network))
        six = (network for network in found if isinstance(network, ipaddress.IPv6Network))
        return cls((*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)))

    def texts(self) -> tuple[str, ...]:
        """The same as text, as short as it gets."""
        return tuple(str(network).removesuffix(f"/{network.max_prefixlen}") for network in self.networks)

    def can_bind(self, address: str) -> bool:
        """Whether a socket can be bound to it here.  0.0.0.0 and :: leave the choice to the host, so any can."""
        try:
            wanted = ipaddress.ip_address(address)
        except ValueError:  # a name, or nonsense: no host is known to have it
            return False
        return wanted.is_unspecified or any(wanted in network for network in self.networks)


NOWHERE: Final = Addresses()


def of_this_host(smtp: SmtpSettings) -> Addresses:
    """What can be bound here now."""
    if smtp.addresses:
        return Addresses.of(text.strip() for text in smtp.addresses.split(","))
    return Addresses.of(_of_interfaces())


def _of_interfaces() -> Iterable[str]:
    for interface in psutil.net_if_addrs().values():
        for one in interface:
            network = _network(one.address)
            if network is None or network.is_link_local:  # a MAC, or an address that means nothing without a link
                continue
            # Linux answers for all of 127.0.0.0/8 once lo has 127.0.0.1; other systems do not.
            whole = network.is_loopback and network.version == 4 and sys.platform == "linux"  # noqa: PLR2004  # IPv4
            yield f"{one.address}/{one.netmask}" if whole and one.netmask else one.address


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        return None
