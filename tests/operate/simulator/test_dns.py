"""The DNS server, asked by dnspython's resolver."""

from pathlib import Path

import dns.asyncquery
import dns.asyncresolver
import dns.flags
import dns.message
import dns.resolver
import msgspec
import pytest

from tests.operate.simulator.builders import simulator

pytestmark = pytest.mark.integration
KEY = "v=DKIM1; k=rsa; p=" + "A" * 900


def resolver(port: int | None) -> dns.asyncresolver.Resolver:
    """One that asks the simulator alone."""
    assert port is not None
    found = dns.asyncresolver.Resolver(configure=False)
    found.nameservers, found.port, found.lifetime = ["127.0.0.1"], port, 3.0
    return found


async def test_mail_routes(tmp_path: Path) -> None:
    """Any domain has one MX host with an address and a short TTL; the host has no AAAA."""
    async with simulator(tmp_path) as (running, _):
        ask = resolver(running.dns_port)
        answer = await ask.resolve("docomo.example", "MX")
        assert [record.to_text() for record in answer] == ["10 mx.docomo.example."]
        assert answer.rrset is not None and 0 < answer.rrset.ttl <= 60
        assert [record.to_text() for record in await ask.resolve("mx.docomo.example", "A")] == ["127.0.0.1"]
        with pytest.raises(dns.resolver.NoAnswer):
            await ask.resolve("mx.docomo.example", "AAAA")


async def test_special_domains(tmp_path: Path) -> None:
    """Null MX, implicit MX, NXDOMAIN and SERVFAIL are there to be met."""
    async with simulator(tmp_path) as (running, _):
        ask = resolver(running.dns_port)
        assert [record.to_text() for record in await ask.resolve("nullmx.example", "MX")] == ["0 ."]
        with pytest.raises(dns.resolver.NoAnswer):
            await ask.resolve("implicitmx.example", "MX")
        assert [record.to_text() for record in await ask.resolve("implicitmx.example", "A")] == ["127.0.0.1"]
        with pytest.raises(dns.resolver.NXDOMAIN):
            await ask.resolve("a.nxdomain.example", "MX")
        with pytest.raises(dns.resolver.NoNameservers, match="SERVFAIL"):
            await ask.resolve("servfail.example", "MX")


async def test_dkim_keys(tmp_path: Path) -> None:
    """A key from the TXT file is served whole; without EDNS it is cut with TC over UDP and whole over TCP."""
    name = "s1._domainkey.acme.example"
    (tmp_path / "txt.json").write_bytes(msgspec.json.encode({name: KEY}))
    async with simulator(tmp_path, txt=tmp_path / "txt.json") as (running, _):
        [record] = await resolver(running.dns_port).resolve(name.upper(), "TXT")
        assert b"".join(record.strings).decode() == KEY
        query = dns.message.make_query(name, "TXT", use_edns=False)
        assert running.dns_port is not None
        cut = await dns.asyncquery.udp(query, "127.0.0.1", port=running.dns_port, timeout=3)
        assert cut.flags & dns.flags.TC and not cut.answer
        whole = await dns.asyncquery.tcp(query, "127.0.0.1", port=running.dns_port, timeout=3)
        assert b"".join(whole.answer[0][0].strings).decode() == KEY


async def test_no_query_no_answer(tmp_path: Path) -> None:
    """Bytes that are no query are passed over, and the next query is answered."""
    async with simulator(tmp_path) as (running, _):
        assert running.dns_port is not None
        query = dns.message.make_query("docomo.example", "MX")
        async with await dns.asyncbackend.get_default_backend().make_socket(
            2, 2, 0, ("127.0.0.1", 0), ("127.0.0.1", running.dns_port)
        ) as socket:
            await socket.sendto(b"\x00\x01rubbish", ("127.0.0.1", running.dns_port), 3)
        answer = await dns.asyncquery.udp(query, "127.0.0.1", port=running.dns_port, timeout=3)
        assert answer.answer
