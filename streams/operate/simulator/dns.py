"""A small authoritative DNS server beside the SMTP one, so that senders and verifiers find it the real way.

| name                          | answer                                                            |
|-------------------------------|-------------------------------------------------------------------|
| any domain                    | `MX 10 mx.<domain>`                                               |
| `mx.<domain>`                 | `A <mx_address>`                                                  |
| `nullmx.example`              | `MX 0 .`: takes no mail (RFC 7505)                                |
| `implicitmx.example`          | no MX, `A <mx_address>`: the domain is its own (RFC 5321 5.1)     |
| `nxdomain.example`, and below | NXDOMAIN                                                          |
| `servfail.example`, and below | SERVFAIL                                                          |
| a name of the TXT file        | its TXT record: DKIM keys, `<selector>._domainkey.<domain>`       |
| anything else                 | no data (RFC 2308: the SOA says how long that holds)              |

UDP answers that don't fit are cut with TC set; the client comes again by TCP (RFC 1035 4.2, RFC 7766).
"""

import asyncio
from collections.abc import Mapping
from typing import Final, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from streams.operate.simulator.errors import CannotListenError

# Seconds: long enough for one campaign's cache to be worth its name, short enough for a test to see it expire.
TTL: Final = 5
# Octets of a UDP answer to a client without EDNS, RFC 1035 4.2.1.
_PLAIN_UDP: Final = 512
# Octets of one string of a TXT record, RFC 1035 3.3.
_TXT_STRING: Final = 255
# Seconds that an idle TCP client is kept; RFC 7766 6.2.3 leaves it to the server.
_TCP_IDLE_S: Final = 5.0
# A free TCP port may be taken for UDP: so many draws.
_PORT_DRAWS: Final = 20

_NULL_MX: Final = dns.name.from_text("nullmx.example.")
_IMPLICIT_MX: Final = dns.name.from_text("implicitmx.example.")
_NXDOMAIN: Final = dns.name.from_text("nxdomain.example.")
_SERVFAIL: Final = dns.name.from_text("servfail.example.")
_SOA: Final = f"ns.simulator.example. hostmaster.simulator.example. 1 {TTL} {TTL} {TTL} {TTL}"


class Zone:
    """What the server knows; `txt` is name -> text of one TXT record."""

    def __init__(self, *, txt: Mapping[str, str], mx_address: str) -> None:
        self._mx_address = mx_address
        self._txt = {dns.name.from_text(name): text.encode("utf-8") for name, text in txt.items()}

    def respond(self, query: dns.message.Message) -> dns.message.Message:
        """The response to one query; nothing of it depends on earlier ones."""
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if query.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
            return response
        if len(query.question) != 1 or query.question[0].rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        name, kind = query.question[0].name, query.question[0].rdtype
        if name.is_subdomain(_SERVFAIL):
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        try:
            text = None if name.is_subdomain(_NXDOMAIN) else self._record(name, kind)
        except dns.name.NameTooLong:  # a domain of 253 octets has no room for an mx. before it
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        if text is not None:
            rdata = dns.rdata.from_text(dns.rdataclass.IN, kind, text)
            response.answer.append(dns.rrset.from_rdata(name, TTL, rdata))
            return response
        if name.is_subdomain(_NXDOMAIN):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(name, TTL, "IN", "SOA", _SOA))
        return response

    def _record(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> str | None:
        """The record's data in presentation form, or None where there is none."""
        host = name.labels[0].lower() == b"mx"
        if kind == dns.rdatatype.MX and not host and name not in {_IMPLICIT_MX, dns.name.root}:
            return "0 ." if name == _NULL_MX else f"10 {dns.name.Name((b'mx', *name.labels))}"
        if kind == dns.rdatatype.A and (host or name == _IMPLICIT_MX):
            return self._mx_address
        if kind == dns.rdatatype.TXT and name in self._txt:
            return _txt_strings(self._txt[name])
        return None

    def respond_wire(self, wire: bytes, *, limit: int | None = None) -> bytes | None:
        """The response's octets, at most `limit` for a client that names no size; None for what is no query."""
        try:
            query = dns.message.from_wire(wire)
            if query.flags & dns.flags.QR:
                return None
            size = 65535 if limit is None else max(limit, query.payload)
            return self.respond(query).to_wire(max_size=size, prefer_truncation=True)
        except dns.exception.DNSException:
            return None


def _txt_strings(text: bytes) -> str:
    chunks = (text[at : at + _TXT_STRING] for at in range(0, len(text) or 1, _TXT_STRING))
    return " ".join('"' + "".join(f"\\{octet:03d}" for octet in chunk) + '"' for chunk in chunks)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's are none by class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = self._zone.respond_wire(data, limit=_PLAIN_UDP)
        if response is not None:
            self._transport.sendto(response, addr)


class DnsServer:
    """UDP and TCP on one port."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._clients: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> int:
        """Open both sockets and say their port.  Raises CannotListenError."""
        loop = asyncio.get_running_loop()
        reason = ""
        for _ in range(1 if port else _PORT_DRAWS):
            try:
                self._stream = await asyncio.start_server(self._serve_stream, host, port)
            except OSError as error:
                raise CannotListenError("DNS (TCP)", host, port, error.strerror or str(error)) from error
            found = int(self._stream.sockets[0].getsockname()[1])
            try:
                self._datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self._zone), local_addr=(host, found)
                )
            except OSError as error:
                self._stream.close()
                reason = error.strerror or str(error)
                continue
            return found
        raise CannotListenError("DNS (UDP)", host, port, reason)

    async def close(self) -> None:
        """Close both sockets and whoever is connected."""
        self._datagrams.close()
        self._stream.close()
        for client in tuple(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # start_server runs this as a task
        self._clients.add(task)
        try:
            while True:
                async with asyncio.timeout(_TCP_IDLE_S):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    response = self._zone.respond_wire(await reader.readexactly(length))
                    if response is None:
                        return
                    writer.write(len(response).to_bytes(2, "big") + response)
                    await writer.drain()
        except (OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            return  # the client has gone, or we end
        finally:
            self._clients.discard(task)
            writer.close()
