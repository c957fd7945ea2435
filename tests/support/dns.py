"""A DNS server for tests: a scriptable zone over UDP and TCP on loopback, which counts what it was asked.

    zone = Zone().add("a.example", "MX", "10 mx.a.example.").add("mx.a.example", "A", "127.0.0.1")
    async with DnsServer(zone) as server:
        server.address   # "127.0.0.1:40213", as EVENPOST_DNS__SERVERS takes it

Names that the zone does not hold are NXDOMAIN; names that it holds without the type asked are empty (RFC 2308), both
with an SOA.  CNAMEs are followed within the zone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

DEFAULT_TTL_S = 300
MAX_CNAMES = 8


class Zone:
    """What the server knows.  May be changed while it runs."""

    def __init__(self, *, negative_ttl: int = 60) -> None:
        self._records: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
        self._rcodes: dict[str, dns.rcode.Rcode] = {}
        self._silent: set[str] = set()
        self._slow: dict[str, float] = {}
        self._truncated: set[str] = set()
        self.negative_ttl = negative_ttl

    def add(self, name: str, kind: str, *values: str, ttl: int = DEFAULT_TTL_S) -> Self:
        """Set a name's records of one type, in presentation format."""
        self._records[_key(name), kind.upper()] = (ttl, values)
        return self

    def remove(self, name: str) -> Self:
        """Forget a name."""
        for key in [key for key in self._records if key[0] == _key(name)]:
            del self._records[key]
        return self

    def fail(self, name: str, rcode: str = "SERVFAIL") -> Self:
        """Answer any question about the name with an error."""
        self._rcodes[_key(name)] = dns.rcode.from_text(rcode)
        return self

    def silence(self, name: str) -> Self:
        """Never answer about the name."""
        self._silent.add(_key(name))
        return self

    def delay(self, name: str, seconds: float) -> Self:
        """Answer about the name late."""
        self._slow[_key(name)] = seconds
        return self

    def truncate(self, name: str) -> Self:
        """Over UDP, tell the client to come back by TCP (RFC 7766)."""
        self._truncated.add(_key(name))
        return self

    def holds(self, name: str) -> bool:
        """Whether the name, or one below it, has records."""
        key = _key(name)
        return any(held == key or held.endswith("." + key) for held, _ in self._records)

    def lookup(self, name: str, kind: str) -> tuple[int, tuple[str, ...]] | None:
        """TTL and values."""
        return self._records.get((_key(name), kind))

    def answer(self, query: dns.message.Message, *, tcp: bool) -> dns.message.Message:
        """The reply to one query."""
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        question = query.question[0]
        name, kind = _key(question.name.to_text()), dns.rdatatype.to_text(question.rdtype)
        if name in self._rcodes:
            reply.set_rcode(self._rcodes[name])
            return reply
        if name in self._truncated and not tcp:
            reply.flags |= dns.flags.TC
            return reply
        for _ in range(MAX_CNAMES):
            found = self.lookup(name, kind)
            alias = None if found else self.lookup(name, "CNAME")
            if found:
                reply.answer.append(dns.rrset.from_text(f"{name}.", found[0], "IN", kind, *found[1]))
                return reply
            if alias is None:
                break
            reply.answer.append(dns.rrset.from_text(f"{name}.", alias[0], "IN", "CNAME", *alias[1]))
            name = _key(alias[1][0])
        if not self.holds(name):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns.invalid. hostmaster.invalid. 1 3600 600 86400 {self.negative_ttl}"
        apex = name.rpartition(".")[2]
        reply.authority.append(dns.rrset.from_text(f"{apex}.", self.negative_ttl, "IN", "SOA", soa))
        return reply

    async def respond(self, wire: bytes, *, tcp: bool, queries: Counter[tuple[str, str]]) -> bytes | None:
        """The bytes that answer a query's bytes, or None for silence."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = _key(question.name.to_text())
        queries[name, dns.rdatatype.to_text(question.rdtype)] += 1
        if name in self._silent:
            return None
        if name in self._slow:
            await asyncio.sleep(self._slow[name])
        return self.answer(query, tcp=tcp).to_wire()


class DnsServer(asyncio.DatagramProtocol):
    """The server; `queries` counts (name, type), without trailing dots."""

    def __init__(self, zone: Zone, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.zone = zone
        self.host = host
        self.port = port
        self.queries: Counter[tuple[str, str]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT`."""
        return f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        # TCP chooses the port: its ports are contended by everyone's outgoing connections, UDP's are not.
        self._tcp = await asyncio.start_server(self._serve_tcp, self.host, self.port)
        self.port = self._tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, self.port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._udp is not None and self._tcp is not None
        self._udp.close()
        self._tcp.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._tcp.wait_closed()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query."""
        task = asyncio.create_task(self._serve_udp(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_udp(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = await self.zone.respond(data, tcp=False, queries=self.queries)
        if reply is not None and self._udp is not None:
            self._udp.sendto(reply, addr)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                reply = await self.zone.respond(await reader.readexactly(size), tcp=True, queries=self.queries)
                if reply is not None:
                    writer.write(len(reply).to_bytes(2, "big") + reply)
        writer.close()


def _key(name: str) -> str:
    return dns.name.from_text(name).to_text(omit_final_dot=True).lower()
