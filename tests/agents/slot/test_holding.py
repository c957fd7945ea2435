"""A slot whose provider takes less than is dealt: who waits, who goes back, and that nobody is lost or goes twice."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import msgspec
import pytest

from agents.slot.telling import Telling
from schemas.events import Condition, DomainProvider, Return
from streams.delivery.hold import MOST_UNRATED
from streams.runtime.partition.streaming_producer import StreamingProducer
from streams.spread.providers import OTHER
from tests.agents.slot.builders import sends, slot
from tests.runtime.builders import read
from tests.support.dns import DnsServer, Zone
from tests.support.receiver import Receiver

pytestmark = pytest.mark.integration


def limits(folder: Path, text: str) -> Path:
    """A file of limits."""
    file = folder / "shaping.toml"
    file.write_text(text)
    return file


async def test_a_slow_providers_mail_holds_up_nobody_elses_and_transactional_mail_goes_first(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Thirty to a provider that takes four a second, then forty to another: those are through long before."""
    shaping = limits(tmp_path, "[provider.docomo]\nmessages_per_s = 4\n")
    async with (
        Receiver() as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver, shaping=shaping) as one,
    ):
        dealt = sends(70)
        slow = [msgspec.structs.replace(send, provider="docomo") for send in dealt[:30]]
        slow[25:] = [msgspec.structs.replace(send, kind="transactional") for send in slow[25:]]
        quick = [msgspec.structs.replace(send, provider="gmail") for send in dealt[30:]]
        one.deal([*slow, *quick])
        others = {send.to.address for send in quick}
        async with one.owned() as owner:
            await one.until(lambda: len(receiver.messages) >= 1, "the first went")
            began = time.monotonic()
            await one.until(
                lambda: others <= {message.envelope_to[0] for message in receiver.messages}, "the other provider's went"
            )
            took_s = time.monotonic() - began
            assert owner.held >= 10
            await one.until(lambda: len(one.finals()) == 70, "all are accepted")
            assert time.monotonic() - began > 29 / 4 - 1
    assert took_s < 5
    order = [message.envelope_to[0] for message in receiver.messages if message.envelope_to[0] not in others]
    urgent = {send.to.address for send in slow[25:]}
    assert urgent <= set(order[:12])
    assert sorted(order) == sorted(send.to.address for send in slow)


async def test_what_can_not_go_within_ten_seconds_comes_back_with_its_place(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """At one a second, ten are held; each of the others is due a second after the one before it, with the reason."""
    shaping = limits(tmp_path, "[provider.docomo]\nmessages_per_s = 1\n")
    async with (
        Receiver() as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver, shaping=shaping) as one,
    ):
        one.deal(sends(30, provider="docomo"))
        async with one.owned():
            await one.until(lambda: len(read(one.settings, "returns")) >= 15, "some come back")
            await one.until(lambda: len(one.finals()) >= 5, "some went")
            returned = [
                msgspec.json.decode(record.value() or b"", type=Return) for record in read(one.settings, "returns")
            ]
        waiting = [delivery for delivery in one.deliveries() if delivery.type == "waiting"]
    assert {back.kind for back in returned} == {"parked"}
    assert {back.reason for back in returned} == {"shaped"}
    dues = sorted(back.due for back in returned)
    apart = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(dues)]
    assert apart and all(0.5 < seconds < 1.5 for seconds in apart)
    assert all(10 <= (back.due - back.at).total_seconds() <= 31 for back in returned)
    assert "1 messages a second" in waiting[0].rules[0].limit


async def test_where_connections_are_what_lacks_the_lane_waits_and_nothing_comes_back(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A thousand at once to a provider of no rate: all go, as soon as they can."""
    async with (
        Receiver() as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver, connections_per_host=2, connections_per_slot=16) as one,
    ):
        one.deal(sends(1000, provider=OTHER))
        async with one.owned() as owner:
            await one.until(lambda: len(receiver.messages) >= 10, "some went")
            assert 100 < owner.held <= MOST_UNRATED + 16
            await one.until(lambda: len(receiver.messages) == 1000, "all went")
            await one.until(lambda: len(one.finals()) == 1000, "all have an end")
        assert read(one.settings, "returns") == []
        assert set(one.finals().values()) == {"accepted"}


@pytest.mark.parametrize("end", ["stop", "fence"])
async def test_what_is_held_when_a_slot_changes_hands_goes_once(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, end: str
) -> None:
    """Held sends have no intent: the next owner, or the next session, finds them in Kafka."""
    shaping = limits(tmp_path, "[provider.docomo]\nmessages_per_s = 5\n")
    async with (
        Receiver() as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver, shaping=shaping) as one,
    ):
        one.deal(sends(30, provider="docomo"))
        async with one.owned() as owner:
            await one.until(lambda: len(receiver.messages) >= 3, "some went")
            assert owner.held > 5
            if end == "fence":
                other = StreamingProducer(one.settings.kafka, f"{one.settings.kafka.prefix}sender-0")
                await one.until(other.fence, "another fences it")
                other.close()
                await one.until(lambda: len(one.finals()) == 30, "all have an end")
            else:
                began = time.monotonic()
        if end == "stop":
            assert time.monotonic() - began < 10
            assert len(one.finals()) < 20
            async with one.owned():
                await one.until(lambda: len(one.finals()) == 30, "all have an end")
        finals = one.finals()
    assert set(finals.values()) == {"accepted"}
    assert sorted(message.envelope_to[0] for message in receiver.messages) == sorted(
        f"u{n}@docomo.example" for n in range(30)
    )


async def test_a_provider_that_says_slower_is_sent_less_and_that_is_told(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """After the first throttled reply all wait, one asks, and `conditions` has the rate and the receiver's words."""
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        receiver.script["rcpt"] = [*["250 ok"] * 20, "451 4.7.0 too many messages, slow down", "250 ok"]
        one.deal(sends(25, provider="docomo"))
        async with one.owned() as owner:
            await one.until(lambda: len(one.deliveries()) >= 21, "one is throttled")
            await one.until(lambda: len(receiver.messages) == 24, "the rest went")
            await Telling(one.settings, one._producer, lambda: [owner]).tell()
        told = [
            msgspec.json.decode(record.value() or b"", type=Condition) for record in read(one.settings, "conditions")
        ]
        keys = [record.key() for record in read(one.settings, "conditions")]
        throttled = [delivery for delivery in one.deliveries() if delivery.class_ == "throttled"]
    assert keys == [b"0/docomo"]
    assert told[0].health == "throttled"
    assert told[0].rate_per_s is not None and told[0].rate_per_s < 50
    assert told[0].limit_per_s == 50
    assert "slow down" in told[0].evidence
    assert len(throttled) == 1


async def test_a_domain_of_ones_own_at_a_known_provider_is_told_with_its_hosts(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The dealer took it for `other`; its MX says whose it is, and its limits are that provider's."""
    zone = Zone().add("acme.example", "MX", "10 aspmx.l.google.com.").add("aspmx.l.google.com", "A", "127.0.0.1")
    zone = zone.add("own.example", "MX", "10 mx.own.example.").add("mx.own.example", "A", "127.0.0.1")
    async with (
        Receiver() as receiver,
        DnsServer(zone) as server,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver, port=receiver.port) as one,
    ):
        one.settings = one.settings.model_copy(
            update={"dns": one.settings.dns.model_copy(update={"servers": server.address})}
        )
        one.world.apply(
            "egress",
            "0",
            msgspec.json.encode(
                {"slot": 0, "via": {"kind": "bind", "address": "127.0.0.1"}, "ehlo": "m0.mail.example"}
            ),
        )
        dealt = sends(3, provider=OTHER)
        to = ["taro@acme.example", "jiro@acme.example", "hana@own.example"]
        one.deal(
            [
                msgspec.structs.replace(send, to=msgspec.structs.replace(send.to, address=address))
                for send, address in zip(dealt, to, strict=True)
            ]
        )
        async with one.owned() as owner:
            await one.until(lambda: len(one.finals()) == 3, "all went")
            known = set(owner.shaper.limits._known)
        told = [
            msgspec.json.decode(record.value() or b"", type=DomainProvider) for record in read(one.settings, "domains")
        ]
    assert [(one.domain, one.provider, one.hosts) for one in told] == [
        ("acme.example", "gmail", ("aspmx.l.google.com",))
    ]
    assert known == {"gmail", "mx:own.example"}
