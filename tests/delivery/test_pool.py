"""One slot's connections: reuse, limits, the next MX, STARTTLS, and what becomes a result when nobody answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from schemas.events.upstream import Via
from streams.delivery.pool import SlotConnections
from streams.delivery.routes import Router
from streams.delivery.smtp import Result
from streams.runtime.settings import DnsSettings
from tests.delivery.builders import MESSAGE, RECIPIENT, SENDER, slot, smtp_settings, until
from tests.support.dns import DnsServer, Zone
from tests.support.receiver import Drop, Receiver, Stall


async def send(connections: SlotConnections, *, domain: str = "docomo.example", to: str = RECIPIENT) -> Result:
    """Deliver the test message."""
    return await connections.deliver(domain, SENDER, to, MESSAGE)


def server_tls() -> ssl.SSLContext:
    """A receiver's TLS, by an authority that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("receiver.example", "127.0.0.1").configure_cert(context)
    return context


async def test_mail_leaves_from_the_slots_address_and_name() -> None:
    """The receiver sees the bound address and the slot's EHLO name."""
    async with Receiver() as receiver, slot(receiver) as connections:
        result = await send(connections)
    assert (receiver.messages[0].peer, receiver.messages[0].helo) == ("127.0.0.2", "m0.mail.example")
    assert (result.disposition, result.via) == ("accepted", "127.0.0.2")


async def test_a_smarthost_slot_sends_all_domains_there() -> None:
    """`via` smarthost asks no DNS and names itself in the result."""
    async with Receiver() as receiver:
        via = Via(kind="smarthost", host="127.0.0.1", port=receiver.port)
        routes = Router.seeded(smtp=smtp_settings(), dns=DnsSettings(servers="127.0.0.1:1"), seed=1)
        connections = SlotConnections(via, "m0.mail.example", routes, smtp_settings())
        result = await send(connections)
        await connections.close()
    assert (result.disposition, result.via) == ("accepted", f"smarthost:127.0.0.1:{receiver.port}")


async def test_a_connection_is_used_again_and_ends_with_quit() -> None:
    """Ten messages in a row are one connection, closed politely with the slot."""
    async with Receiver() as receiver:
        async with slot(receiver) as connections:
            for _ in range(10):
                assert (await send(connections)).disposition == "accepted"
        await until(lambda: receiver.open == 0)
    assert len(receiver.sessions) == 1 and receiver.commands[-1] == "QUIT"


async def test_a_connection_ends_after_so_many_messages() -> None:
    """`messages_per_connection` is kept, each connection ends with QUIT."""
    async with Receiver() as receiver, slot(receiver, messages_per_connection=3, connections_per_host=1) as connections:
        await asyncio.gather(*(send(connections) for _ in range(7)))
    assert [session.commands.count("DATA") for session in receiver.sessions] == [3, 3, 1]
    assert receiver.commands.count("QUIT") == 3


async def test_an_idle_connection_is_ended() -> None:
    """After `idle_s` without mail the receiver gets its connection back."""
    async with Receiver() as receiver, slot(receiver, idle_s=0.05) as connections:
        await send(connections)
        await until(lambda: receiver.open == 0)
        assert receiver.commands[-1] == "QUIT"


async def test_the_hosts_limit_is_kept_and_all_are_served() -> None:
    """Thirty at once never hold more than 2 connections to a host, and none is lost."""
    async with (
        Receiver(script={"dot": Stall(0.01, "250 ok")}) as receiver,
        slot(receiver, connections_per_host=2) as connections,
    ):
        results = await asyncio.gather(*(send(connections, to=f"u{n}@docomo.example") for n in range(30)))
    assert [result.disposition for result in results] == ["accepted"] * 30
    assert receiver.most_open == 2 and len(receiver.sessions) == 2
    assert [message.envelope_to[0] for message in receiver.messages][:2] == ["u0@docomo.example", "u1@docomo.example"]


@pytest.fixture
async def two_hosts() -> AsyncIterator[tuple[Receiver, Receiver, DnsServer]]:
    """Two receivers on one port: `a.example` at 127.0.0.11, `b.example` at 127.0.0.12, both MX of `both.example`."""
    zone = (
        Zone()
        .add("a.example", "A", "127.0.0.11")
        .add("b.example", "A", "127.0.0.12")
        .add("both.example", "MX", "10 a.example.", "20 b.example.")
    )
    async with (
        Receiver(host="127.0.0.11") as first,
        Receiver(host="127.0.0.12", port=first.port) as second,
        DnsServer(zone) as server,
    ):
        yield first, second, server


def by_mx(server: DnsServer, port: int, **more: object) -> SlotConnections:
    """A slot that finds its hosts by DNS."""
    chosen = smtp_settings(port=port, **more)
    routes = Router.seeded(smtp=chosen, dns=DnsSettings(servers=server.address), seed=1)
    return SlotConnections(Via(kind="bind", address="127.0.0.2"), "m0.mail.example", routes, chosen)


async def test_a_full_slot_makes_room_for_another_host(two_hosts: tuple[Receiver, Receiver, DnsServer]) -> None:
    """With room for one connection, an idle one to another host is ended, and mail to both hosts flows."""
    first, second, server = two_hosts
    connections = by_mx(server, first.port, connections_per_slot=1)
    domains = ["a.example", "b.example"] * 5
    results = await asyncio.gather(*(send(connections, domain=domain) for domain in domains))
    await connections.close()
    assert {result.disposition for result in results} == {"accepted"}
    assert (len(first.messages), len(second.messages)) == (5, 5)
    assert (first.most_open, second.most_open) == (1, 1)


async def test_a_host_at_its_limit_does_not_hold_up_another(two_hosts: tuple[Receiver, Receiver, DnsServer]) -> None:
    """Mail to B goes while mail to A waits for a stalled connection."""
    first, second, server = two_hosts
    first.script["dot"] = Stall(3)
    connections = by_mx(server, first.port, connections_per_host=1)
    stuck = [asyncio.create_task(send(connections, domain="a.example")) for _ in range(5)]
    await until(lambda: any(command == "DATA" for command in first.commands))
    assert (await asyncio.wait_for(send(connections, domain="b.example"), 2)).disposition == "accepted"
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    first.script.clear()
    assert (await send(connections, domain="a.example")).disposition == "accepted"  # the places came back
    await connections.close()
    assert len(second.messages) == 1


@pytest.mark.parametrize("greeting", ["554 5.7.1 no", "421 busy", Drop(), "hello"])
async def test_the_second_mx_takes_it_when_the_first_does_not_greet(
    two_hosts: tuple[Receiver, Receiver, DnsServer], greeting: str | Drop
) -> None:
    """A refused, dropped or strange greeting leads on; for a while the first is then not asked first."""
    first, second, server = two_hosts
    first.script["greeting"] = greeting
    connections = by_mx(server, first.port)
    results = [await send(connections, domain="both.example") for _ in range(3)]
    await connections.close()
    assert [result.host for result in results] == ["b.example"] * 3 and len(second.messages) == 3
    assert len(first.sessions) == 1


async def test_the_second_mx_takes_it_when_the_first_refuses_the_connection() -> None:
    """Nothing listens at the first MX."""
    zone = Zone().add("c.example", "MX", "1 dead.example.", "2 live.example.").add("dead.example", "A", "127.0.0.13")
    zone.add("live.example", "A", "127.0.0.12")
    async with Receiver(host="127.0.0.12") as live, DnsServer(zone) as server:
        connections = by_mx(server, live.port)
        result = await send(connections, domain="c.example")
        await connections.close()
    assert (result.disposition, result.host) == ("accepted", "live.example")


async def test_a_refused_recipient_does_not_lead_to_the_next_mx(
    two_hosts: tuple[Receiver, Receiver, DnsServer],
) -> None:
    """RFC 5321 5.1: the next MX is for hosts that don't answer; an answer is an answer."""
    first, second, server = two_hosts
    first.script["rcpt"] = "550 5.1.1 no such user"
    connections = by_mx(server, first.port)
    result = await send(connections, domain="both.example")
    await connections.close()
    assert (result.disposition, result.class_, result.suppresses) == ("hard", "user_unknown", True)
    assert second.sessions == []


@pytest.mark.parametrize(
    ("greeting", "class_", "code"),
    [
        ("554 5.7.1 your IP is on our block list", "policy", 554),
        ("421 4.7.0 too many connections", "throttled", 421),
        ("554 no", "connection_refused", 554),
        (Drop(), "connection_failed", None),
    ],
)
async def test_a_greeting_that_refuses_is_soft(greeting: str | Drop, class_: str, code: int | None) -> None:
    """It is about our IP, never about the address: even 5yz is tried again, and suppresses nobody."""
    async with Receiver(script={"greeting": greeting}) as receiver, slot(receiver) as connections:
        result = await send(connections)
    assert (result.disposition, result.class_, result.smtp_code, result.stage) == ("soft", class_, code, "greeting")
    assert not result.suppresses


async def test_nobody_at_the_port_is_soft() -> None:
    """The text says where nothing answered."""
    async with Receiver() as receiver:
        pass
    async with slot(receiver) as connections:
        result = await send(connections)
    assert (result.disposition, result.class_, result.stage) == ("soft", "connection_failed", "connect")
    assert f"127.0.0.1 port {receiver.port}" in result.reply


async def test_an_address_that_this_machine_lacks_is_named() -> None:
    """A slot bound to someone else's address: soft, class egress_unavailable, with the fix in the text."""
    async with Receiver() as receiver:
        chosen = smtp_settings(route=f"smarthost:127.0.0.1:{receiver.port}")
        routes = Router.seeded(smtp=chosen, dns=DnsSettings(), seed=1)
        connections = SlotConnections(Via(kind="bind", address="192.0.2.7"), "m0.mail.example", routes, chosen)
        result = await send(connections)
        await connections.close()
    assert (result.disposition, result.class_, result.smtp_code) == ("soft", "egress_unavailable", None)
    assert "192.0.2.7" in result.reply and "give the address to an interface" in result.reply


@pytest.mark.parametrize("ehlo", ["mail 0", "m0.example\r\nMAIL FROM:<a@b.example>", "mäil.example", "\0"])
async def test_a_name_that_ehlo_can_not_say_keeps_mail_and_says_nothing(ehlo: str) -> None:
    """A typo in `egress` costs no mail: it is soft, class egress_unavailable; and nothing of it goes over the wire."""
    async with Receiver() as receiver:
        chosen = smtp_settings(route=f"smarthost:127.0.0.1:{receiver.port}")
        routes = Router.seeded(smtp=chosen, dns=DnsSettings(), seed=1)
        connections = SlotConnections(Via(kind="bind", address="127.0.0.2"), ehlo, routes, chosen)
        result = await send(connections)
        await connections.close()
        assert not receiver.messages
    assert (result.disposition, result.class_, result.smtp_code) == ("soft", "egress_unavailable", None)
    assert "no name for EHLO" in result.reply and ascii(ehlo) in result.reply


@pytest.mark.parametrize("address", [None, "", "mail.example"])
async def test_a_bound_slot_without_an_address_sends_from_no_other(address: str | None) -> None:
    """What `egress` lacks is told and waits; the machine's own address is nobody's slot."""
    async with Receiver() as receiver:
        chosen = smtp_settings(route=f"smarthost:127.0.0.1:{receiver.port}")
        routes = Router.seeded(smtp=chosen, dns=DnsSettings(), seed=1)
        connections = SlotConnections(Via(kind="bind", address=address), "m0.mail.example", routes, chosen)
        result = await send(connections)
        await connections.close()
        assert not receiver.messages
    assert (result.disposition, result.class_) == ("soft", "egress_unavailable")
    assert "it is no IP address" in result.reply


@pytest.mark.parametrize("host", [None, "mail..example", "x" * 64 + ".example", "é" * 64])
async def test_a_smarthost_that_is_no_host_is_soft(host: str | None) -> None:
    """It is a mistake of ours in `egress`, no fault of the mail."""
    chosen = smtp_settings()
    routes = Router.seeded(smtp=chosen, dns=DnsSettings(), seed=1)
    connections = SlotConnections(Via(kind="smarthost", host=host, port=25), "m0.mail.example", routes, chosen)
    result = await send(connections)
    await connections.close()
    assert (result.disposition, result.class_) == ("soft", "dns")
    assert "the smarthost's name is not known here" in result.reply


@pytest.mark.parametrize(
    ("zone", "disposition", "class_", "suppresses"),
    [
        (Zone().add("d.example", "MX", "0 ."), "hard", "null_mx", True),
        (Zone(), "hard", "no_such_domain", True),
        (Zone().add("d.example", "MX", "0 mx.d.example."), "hard", "no_mail_host", False),
        (Zone().fail("d.example"), "soft", "dns", False),
        (Zone().add("d.example", "AAAA", "::1"), "soft", "no_mail_host", False),
    ],
    ids=["null", "nxdomain", "no-host", "servfail", "ipv6-only"],
)
async def test_no_route_is_a_result(zone: Zone, disposition: str, class_: str, suppresses: bool) -> None:
    """No exception, no SMTP code; a domain that isn't there suppresses, one in trouble does not."""
    async with DnsServer(zone) as server:
        connections = by_mx(server, 25)
        result = await send(connections, domain="d.example")
        await connections.close()
    assert (result.disposition, result.class_, result.suppresses) == (disposition, class_, suppresses)
    assert (result.smtp_code, result.stage) == (None, "route")


@pytest.mark.parametrize("mail", [["250 ok", Drop(), "250 ok"], ["250 ok", "421 4.4.2 idle too long", "250 ok"]])
async def test_an_idle_connection_that_went_stale_is_replaced(mail: list[str | Drop]) -> None:
    """The receiver hangs up on the second MAIL of a connection: the message goes over a new one."""
    async with Receiver(script={"mail": mail}) as receiver, slot(receiver) as connections:
        results = [await send(connections) for _ in range(2)]
    assert [result.disposition for result in results] == ["accepted", "accepted"]
    assert len(receiver.sessions) == 2 and len(receiver.messages) == 2


async def test_a_new_connection_that_breaks_is_not_replaced() -> None:
    """Only a connection that had idled is replaced, and once: a receiver that hangs up gets no second try at once."""
    async with Receiver(script={"mail": Drop()}) as receiver, slot(receiver) as connections:
        result = await send(connections)
    assert (result.disposition, result.class_) == ("soft", "connection_lost") and len(receiver.sessions) == 1


async def test_starttls_is_used_where_offered_and_ehlo_repeated() -> None:
    """A certificate nobody verifies still hides the mail from listeners; RFC 3207 4.2 asks for a new EHLO."""
    async with Receiver(tls=server_tls()) as receiver, slot(receiver) as connections:
        results = [await send(connections) for _ in range(2)]
    assert [message.tls for message in receiver.messages] == [True, True]
    assert [result.disposition for result in results] == ["accepted", "accepted"]
    assert [command.split()[0] for command in receiver.commands][:3] == ["EHLO", "STARTTLS", "EHLO"]


async def test_starttls_never_means_never() -> None:
    """`smtp.starttls = never` leaves the offer alone."""
    async with Receiver(tls=server_tls()) as receiver, slot(receiver, starttls="never") as connections:
        await send(connections)
    assert "STARTTLS" not in receiver.commands and receiver.messages[0].tls is False


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", Drop(), "220 go"], ids=["refused", "dropped", "no-tls-after"])
async def test_failed_tls_falls_back_to_a_new_plain_connection(answer: str | Drop) -> None:
    """Opportunistic: the mail goes all the same, but never over the half-opened connection."""
    offered = Receiver(extensions=("PIPELINING", "STARTTLS"), script={"starttls": answer})
    async with offered as receiver, slot(receiver, command_timeout_s=0.3) as connections:
        result = await send(connections)
    assert result.disposition == "accepted" and receiver.messages[0].tls is False and len(receiver.sessions) == 2


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "STARTTLS")], ids=["not-offered", "failing"])
async def test_required_tls_keeps_the_mail_back(extensions: tuple[str, ...]) -> None:
    """`smtp.starttls = require`: soft, class tls, nothing sent in plain."""
    script = {"starttls": "454 4.7.0 not now"}
    async with (
        Receiver(extensions=extensions, script=script) as receiver,
        slot(receiver, starttls="require") as connections,
    ):
        result = await send(connections)
    assert (result.disposition, result.class_, result.stage) == ("soft", "tls", "starttls")
    assert not any(command.startswith("MAIL") for command in receiver.commands)


async def test_a_server_without_ehlo_is_greeted_with_helo() -> None:
    """RFC 5321 3.2; nothing is assumed to be offered."""
    async with Receiver(script={"ehlo": "502 5.5.1 unknown"}) as receiver, slot(receiver) as connections:
        assert (await send(connections)).disposition == "accepted"
    assert [command.split()[0] for command in receiver.commands][:3] == ["EHLO", "HELO", "MAIL"]


async def test_one_who_gives_up_waiting_costs_no_place() -> None:
    """Cancelled while waiting for a place, and while connecting: afterwards all places are there."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)  # accepts, and never greets
        chosen = smtp_settings(route=f"smarthost:127.0.0.1:{silent.getsockname()[1]}", connections_per_host=1)
        routes = Router.seeded(smtp=chosen, dns=DnsSettings(), seed=1)
        connections = SlotConnections(Via(kind="bind", address="127.0.0.2"), "m0.mail.example", routes, chosen)
        tasks = [asyncio.create_task(send(connections)) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert connections.open_connections == 0
        await connections.close()
