"""Where a domain takes its mail: MX by preference, implicit MX, null MX, cached by TTL (RFC 5321 section 5.1).

1. The cache answers, or one query is under way already and its answer is shared.
2. MX: `.` alone is a null MX (RFC 7505); none at all makes the domain its own MX; equal preferences are shuffled.
3. A and AAAA of each host, at once.  A host without address, or whose "name" is an IP literal, is passed over.
4. What DNS did not answer is temporary, what it denied is permanent; both are cached, for less long.

With `smtp.route = smarthost:HOST:PORT` every domain leads there, and DNS is not asked.
"""

import asyncio
import ipaddress
import random
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Self, cast

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import msgspec
from dns.rdtypes.ANY.MX import MX

from streams.delivery.errors import PermanentRouteError, RouteError, TemporaryRouteError
from streams.runtime.settings import DnsSettings, SmtpSettings

# Seconds.  A TTL of 0 would ask DNS for every mail; one of a week would keep us off a host's new address for as long.
MIN_TTL_S: Final = 30.0
MAX_TTL_S: Final = 3600.0
# RFC 2308 5 lets a denial live up to three hours; a domain just set up should not wait that long.
MAX_NEGATIVE_TTL_S: Final = 900.0
# RFC 2308 7.1 caps the caching of failures at 5 minutes; 20 s spares a resolver in trouble a query for each mail.
FAILURE_TTL_S: Final = 20.0
# A smarthost's name comes from the system's resolver, which tells no TTL.
SMARTHOST_TTL_S: Final = 60.0
# Domains kept, about 1 KB each: a run to a million domains must not fill memory.
CACHE_DOMAINS: Final = 50_000
# Hosts tried for a domain (RFC 5321 5.1 asks for at least two); a longer list is a mistake, or wastes our time.
MAX_HOSTS: Final = 10
DNS_PORT: Final = 53


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One place to connect to."""

    host: str
    address: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """Whether only an IPv6 address can reach it."""
        return ":" in self.address


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where to deliver, best first; good for `ttl_s` seconds.  `exchanges` are the hosts that the MX prefers."""

    targets: tuple[Target, ...]
    ttl_s: float
    exchanges: tuple[str, ...] = ()


def nameservers(servers: str) -> list[dns.nameserver.Do53Nameserver]:
    """Read `ADDRESS`, `ADDRESS:PORT` or `[IPv6]:PORT`, comma-separated.  Raises ValueError."""
    return [_nameserver(item.strip()) for item in servers.split(",") if item.strip()]


def _nameserver(item: str) -> dns.nameserver.Do53Nameserver:
    address, port = item, str(DNS_PORT)
    if item.startswith("["):
        address, _, rest = item[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif item.count(":") == 1:
        address, _, port = item.partition(":")
    number = int(port) if port.isdecimal() else 0
    if not _is_address(address) or not 0 < number < 65536:  # noqa: PLR2004  # a port is 16 bits
        raise ValueError(f"dns.servers: {item!r} is no resolver; write ADDRESS, ADDRESS:PORT or [IPv6]:PORT")
    return dns.nameserver.Do53Nameserver(address, number)


class Router:
    """Routes for all slots of a process, from one cache."""

    def __init__(
        self,
        *,
        smtp: SmtpSettings,
        dns: DnsSettings,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._smtp = smtp
        self._rng = rng
        self._clock = clock
        self._resolver = _resolver(dns)
        self._cache: OrderedDict[str, tuple[float, Route | RouteError]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Route | RouteError]] = {}

    @classmethod
    def seeded(cls, *, smtp: SmtpSettings, dns: DnsSettings, seed: int) -> Self:
        """A router whose shuffling repeats."""
        return cls(smtp=smtp, dns=dns, rng=random.Random(seed))  # noqa: S311  # spreads load, hides nothing

    async def resolve(self, domain: str) -> Route:
        """The domain's targets.  Raises PermanentRouteError or TemporaryRouteError."""
        if self._smtp.route != "mx":
            host, _, port = self._smtp.route.removeprefix("smarthost:").rpartition(":")
            return await self.smarthost(host, int(port))
        name = domain.lower().rstrip(".")
        return await self._cached(name, lambda: self._by_mx(name))

    async def smarthost(self, host: str, port: int) -> Route:
        """The targets of a host named in the settings, by address or by a name that the system knows."""
        return await self._cached(f"{host}:{port}", lambda: _by_system(host, port))

    async def _cached(self, key: str, ask: Callable[[], Awaitable[Route]]) -> Route:
        kept = self._cache.get(key)
        if kept is not None and self._clock() < kept[0]:
            found = kept[1]
        else:
            task = self._asking.get(key)
            if task is None:
                task = self._asking[key] = asyncio.create_task(self._ask(key, ask), name=f"route {key}")
            # Shielded: others wait for the same answer when one who asked is cancelled.
            found = await asyncio.shield(task)
        if isinstance(found, RouteError):
            # A fresh copy: one exception raised in many tasks would collect all their tracebacks.
            raise type(found)(found.domain, found.class_, str(found).removeprefix(f"{found.domain}: "))
        return found

    async def _ask(self, key: str, ask: Callable[[], Awaitable[Route]]) -> Route | RouteError:
        found: Route | RouteError
        try:
            found = await ask()
            ttl_s = found.ttl_s
        except _Denied as denial:
            found, ttl_s = denial.fault, denial.ttl_s
        except RouteError as fault:
            found, ttl_s = fault, FAILURE_TTL_S
        finally:
            del self._asking[key]
        self._cache[key] = self._clock() + ttl_s, found
        self._cache.move_to_end(key)
        if len(self._cache) > CACHE_DOMAINS:
            self._cache.popitem(last=False)
        return found

    async def _by_mx(self, domain: str) -> Route:
        answer = await self._query(domain, domain, "MX")
        now = time.time()
        ttl_s = answer.expiration - now
        records = [cast("MX", record) for record in answer] if answer.rrset is not None else []
        if not records:
            hosts = best = [domain]  # RFC 5321 5.1: implicit MX
        elif all(record.exchange == dns.name.root for record in records):
            fault = PermanentRouteError(domain, "null_mx", "takes no mail: its MX is '.' (RFC 7505)")
            raise _Denied(fault, _negative(ttl_s))
        else:
            hosts, best = self._ordered(records)
        found = await asyncio.gather(*(self._addresses(domain, host) for host in hosts[:MAX_HOSTS]))
        targets = [
            Target(host=host, address=address, port=self._smtp.port)
            for host, (addresses, _) in zip(hosts, found, strict=False)
            for address in addresses
        ]
        if targets:
            ttl_s = min([ttl_s, *(ttl for addresses, ttl in found if addresses and ttl is not None)])
            ttl_s = min(max(ttl_s, MIN_TTL_S), MAX_TTL_S)
            return Route(targets=tuple(targets), ttl_s=ttl_s, exchanges=tuple(best))
        if any(ttl is None for _, ttl in found):
            raise TemporaryRouteError(domain, "dns", "DNS did not tell the address of any of its mail hosts")
        reason = "no host of its MX has an address" if records else "has neither MX nor address"
        raise _Denied(PermanentRouteError(domain, "no_mail_host", reason), _negative(ttl_s))

    def _ordered(self, records: list[MX]) -> tuple[list[str], list[str]]:
        """Hosts by preference, equal ones shuffled from a sorted start so that a seed repeats; and the first."""
        by_preference: dict[int, list[str]] = {}
        for record in records:
            host = record.exchange.to_text(omit_final_dot=True).lower()
            # RFC 5321 5.1: an MX names a host; an address there, or '.' beside others, is no host.
            if record.exchange != dns.name.root and not _is_address(host):
                by_preference.setdefault(record.preference, []).append(host)
        hosts: list[str] = []
        for _, equals in sorted(by_preference.items()):
            equals.sort()
            self._rng.shuffle(equals)
            hosts += [host for host in equals if host not in hosts]
        return hosts, by_preference[min(by_preference)] if by_preference else []

    async def _addresses(self, domain: str, host: str) -> tuple[list[str], float | None]:
        """The host's addresses, IPv4 first, and for how long; (…, None) where DNS did not answer."""
        answers = await asyncio.gather(
            *(self._query(domain, host, kind) for kind in ("A", "AAAA")), return_exceptions=True
        )
        addresses: list[str] = []
        ttls: list[float] = []
        failed = False
        for answer in answers:
            if isinstance(answer, dns.resolver.Answer):
                if answer.rrset is not None:
                    ttls.append(answer.expiration - time.time())
                    addresses += sorted(record.to_text() for record in answer)
            elif isinstance(answer, TemporaryRouteError):
                failed = True
            elif not isinstance(answer, RouteError | _Denied):
                raise answer
        if failed and not addresses:
            return [], None
        return addresses, min(ttls, default=MIN_TTL_S)

    async def _query(self, domain: str, name: str, kind: str) -> dns.resolver.Answer:
        """One question.  Raises _Denied (NXDOMAIN, a name that can't be) or TemporaryRouteError."""
        try:
            return await self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            denials = cast("dict[object, dns.message.QueryMessage]", error.kwargs["responses"]).values()
            ttl_s = min((denial.resolve_chaining().minimum_ttl for denial in denials), default=0)
            fault = PermanentRouteError(domain, "no_such_domain", "no such domain (NXDOMAIN)")
            raise _Denied(fault, _negative(ttl_s)) from error
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape) as error:
            fault = PermanentRouteError(domain, "no_such_domain", f"can't be a domain: {error}")
            raise _Denied(fault, MAX_NEGATIVE_TTL_S) from error
        except (dns.exception.DNSException, OSError) as error:
            reason = "the resolvers did not answer in time" if isinstance(error, dns.exception.Timeout) else "failed"
            detail = type(error).__name__
            raise TemporaryRouteError(domain, "dns", f"DNS {kind} of {name}: {reason} ({detail})") from error


class _Denied(Exception):  # carries a fault and its lifetime to the cache, and never leaves this file
    def __init__(self, fault: PermanentRouteError, ttl_s: float) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.ttl_s = ttl_s


def _resolver(settings: DnsSettings) -> dns.asyncresolver.Resolver:
    servers = nameservers(settings.servers)
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = servers
    resolver.cache = None  # ours is bounded, and shares one query among all who wait
    resolver.lifetime = settings.timeout_s
    # Half the time for the first try, so that a lost datagram leaves room for another.
    resolver.timeout = settings.timeout_s / 2
    return resolver


async def _by_system(host: str, port: int) -> Route:
    literal = host.removeprefix("[").removesuffix("]")
    if _is_address(literal):
        return Route(targets=(Target(host=literal, address=literal, port=port),), ttl_s=MAX_TTL_S)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: an empty label, or one that is too long (RFC 3490)
        reason = getattr(error, "strerror", None) or "it is no host name"
        raise TemporaryRouteError(host, "dns", f"the smarthost's name is not known here ({reason})") from error
    addresses = dict.fromkeys(str(info[4][0]) for info in found)
    targets = tuple(Target(host=host, address=address, port=port) for address in addresses)
    return Route(targets=targets, ttl_s=SMARTHOST_TTL_S)


def _negative(ttl_s: float) -> float:
    return min(max(ttl_s, MIN_TTL_S), MAX_NEGATIVE_TTL_S)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
