"""A slot on a real broker: what is said when, what is read back after a kill, and what a fence changes."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from agents.slot.session import DRAIN_S
from schemas.events import Checkpoint, Intent, Lane, Outcome, Send
from schemas.topics import MESSAGE_BYTES
from streams.compose.message import Message
from streams.delivery.journal import decode
from streams.delivery.lane_note import LaneNote
from streams.runtime.errors import FencedError
from streams.runtime.partition.streaming_producer import StreamingProducer
from tests.agents.slot.builders import CONNECTIONS, LANE, plain, sends, slot
from tests.runtime.builders import read
from tests.support.receiver import Drop, Receiver, Stall

pytestmark = pytest.mark.integration


async def test_each_send_goes_once_and_its_intent_stands_before_its_dot(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Facts are durable at the dot, effects are committed with the offsets, and a checkpoint is named beside them."""
    announced: list[int] = []

    def at_the_dot(_: str) -> str:
        announced.append(sum(isinstance(entry, Intent) for entry in one.journal()))
        return "250 2.0.0 queued"

    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        receiver.script["dot"] = at_the_dot
        one.deal(sends(5))
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 5, "all are accepted")
            await one.until(lambda: one.committed()[0] == 5, "all is committed")
        offset, named = one.committed()
        records = read(one.settings, "journal", isolation="read_uncommitted")
        note = LaneNote.read(named)
        assert note is not None
        (pointed,) = [decode(record.value() or b"") for record in records if record.offset() == note.checkpoint]
        finals, journal = one.finals(), one.journal()
    assert set(finals.values()) == {"accepted"}
    assert len(receiver.messages) == len(announced) == 5
    assert all(intents > before for before, intents in enumerate(announced))
    outcomes = [entry for entry in journal if isinstance(entry, Outcome)]
    assert {entry.send_id for entry in outcomes} == set(finals)
    assert isinstance(pointed, Checkpoint)
    assert pointed.lanes["sends.marketing"] == Lane(next=offset)
    assert (note.begun, note.open) == (offset, 0)
    assert pointed.open == ()


@pytest.mark.parametrize("wish", ["hold", "resend"])
async def test_after_a_kill_what_was_open_is_as_the_campaign_says_and_the_rest_goes_once(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, wish: str
) -> None:
    """Four connections hang behind their dots when the sender dies: four in doubt, and no other send is touched."""
    hanging = {f"{n:032x}" for n in range(CONNECTIONS)}
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        receiver.script["dot"] = [*[Stall(20)] * CONNECTIONS, "250 2.0.0 queued"]
        one.deal(sends(12, on_uncertain=wish))
        owner = one.owner()
        running = asyncio.create_task(owner.run())
        await one.until(
            lambda: sum(isinstance(entry, Intent) for entry in one.journal()) == CONNECTIONS,
            "four are behind their dots",
        )
        await asyncio.sleep(0.2)
        await one.killed(owner, running)
        assert one.finals() == {}
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 12, "all have an end")
        finals = one.finals()
    uncertain = {send_id for send_id, type_ in finals.items() if type_ == "uncertain"}
    if wish == "hold":
        assert uncertain == hanging
    else:
        assert set(finals.values()) == {"accepted"}
    got = [message.envelope_to[0] for message in receiver.messages]
    again = {f"u{n}@docomo.example" for n in range(CONNECTIONS)} if wish == "resend" else set[str]()
    assert {to for to in got if to in again} == again
    others = [to for to in got if int(to.partition("@")[0][1:]) >= CONNECTIONS]
    assert sorted(others) == sorted({f"u{n}@docomo.example" for n in range(CONNECTIONS, 12)})


async def test_an_outcome_that_was_not_committed_is_redone_and_not_sent_again(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Killed between an outcome and its commit: the next owner says its effects, with the same ids."""
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        one.deal(sends(40))
        owner = one.owner()
        running = asyncio.create_task(owner.run())
        await one.until(lambda: any(isinstance(entry, Outcome) for entry in one.journal()), "an outcome is there")
        await one.killed(owner, running)
        known = [entry for entry in one.journal() if isinstance(entry, Outcome)]
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 40, "all have an end")
        finals = one.finals()
        told = {delivery.send_id: delivery.event_id for delivery in one.deliveries()}
    assert known
    assert {entry.send_id: entry.delivery.event_id for entry in known}.items() <= told.items()
    times = [message.envelope_to[0] for message in receiver.messages]
    assert len(times) == len(set(times)), "sent twice"
    assert sum(type_ == "uncertain" for type_ in finals.values()) <= CONNECTIONS


async def test_a_fence_ends_a_session_and_no_attempt(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """What is past its intent comes to its end, and the same process, having taken the slot anew, says how."""
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        receiver.script["dot"] = [*[Stall(3)] * CONNECTIONS, "250 2.0.0 queued"]
        one.deal(sends(20))
        async with one.owned():
            await one.until(lambda: len(one.journal()) >= CONNECTIONS, "four have their intents")
            other = StreamingProducer(one.settings.kafka, f"{one.settings.kafka.prefix}sender-0")
            await one.until(other.fence, "another fences it")
            other.close()
            await one.until(lambda: len(one.finals()) == 20, "all have an end")
        finals = one.finals()
    assert set(finals.values()) == {"accepted"}
    assert len(receiver.messages) == 20


async def test_who_lives_and_knows_how_it_ended_says_so_also_after_the_slot_was_away(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Fenced and out of its group before it could tell of four 250s; given the slot again, it is in doubt of none."""
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        receiver.script["dot"] = [*[Stall(2)] * CONNECTIONS, "250 2.0.0 queued"]
        one.deal(sends(10))
        async with one.owned():
            await one.until(lambda: len(one.journal()) >= CONNECTIONS, "four have their intents")
            one.in_group = False
            other = StreamingProducer(one.settings.kafka, f"{one.settings.kafka.prefix}sender-0")
            await one.until(other.fence, "another fences it")
            other.close()
            await one.until(lambda: len(receiver.messages) == CONNECTIONS, "four are accepted")
            await asyncio.sleep(0.1)
        assert one.finals() == {}
        one.in_group = True
        async with one.owned(one.same_owner()):
            await one.until(lambda: len(one.finals()) == 10, "all have an end")
        finals = one.finals()
    assert set(finals.values()) == {"accepted"}
    assert len(receiver.messages) == 10


async def test_an_attempt_that_waits_for_a_connection_outlives_a_fence_and_goes_once(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Its intent is refused until the next session comes to its send; no mail of it is lost, doubled or a defect."""
    async with (
        Receiver() as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver, connections_per_host=1) as one,
    ):
        receiver.script["dot"] = [Stall(3), "250 2.0.0 queued"]
        one.deal(sends(12))
        async with one.owned():
            await one.until(lambda: len(one.journal()) >= 1, "one has its intent, three wait for its connection")
            other = StreamingProducer(one.settings.kafka, f"{one.settings.kafka.prefix}sender-0")
            await one.until(other.fence, "another fences it")
            other.close()
            await one.until(lambda: len(one.finals()) == 12, "all have an end")
        finals = one.finals()
    assert set(finals.values()) == {"accepted"}
    assert sorted(message.envelope_to[0] for message in receiver.messages) == sorted(
        f"u{n}@docomo.example" for n in range(12)
    )


async def test_an_intent_stands_behind_the_outcome_before_it_on_its_connection(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Also where another send waits for that connection: a kill leaves one of each in doubt, never two."""
    async with (
        Receiver() as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver, connections_per_host=1) as one,
    ):
        one.deal(sends(30))
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 30, "all have an end")
        journal = one.journal()
    last: dict[str, str] = {}
    ended: set[str] = set()
    for entry in journal:
        if isinstance(entry, Outcome):
            ended.add(entry.send_id)
        elif isinstance(entry, Intent):
            assert last.get(entry.connection, entry.send_id) in {*ended, entry.send_id}, (
                "two in doubt of one connection"
            )
            last[entry.connection] = entry.send_id
    assert len(ended) == 30
    assert len(last) < 30, "no connection had two mails"


async def test_a_send_of_which_nothing_went_is_not_begun_anew_by_who_stops(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """It would keep the slot from its next owner; that one sends it."""

    def refused(_: Send) -> Message:
        raise FencedError("slot 0", "a test")

    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        one.compose = refused
        one.deal(sends(3))
        async with one.owned() as owner:
            await one.until(lambda: owner.ready and owner.backlog(one.settings.topic(LANE)) == 0, "all are begun")
            began = time.monotonic()
        assert time.monotonic() - began < DRAIN_S
        assert one.finals() == {}
        one.compose = plain
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 3, "the next owner sends them")
        finals = one.finals()
    assert set(finals.values()) == {"accepted"}


async def test_a_transaction_that_hangs_in_the_journal_hides_nothing_from_who_takes_the_slot(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Readers of committed records see no checkpoint behind it; the group's offsets name one, so it is committed."""
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        receiver.script["dot"] = [Stall(30), "250 2.0.0 queued"]
        hanging = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": f"{topic_prefix}hangs"})
        await asyncio.to_thread(hanging.init_transactions, 30)
        hanging.begin_transaction()
        hanging.produce(one.settings.topic("journal"), b"{}", b"k", 0)
        assert await asyncio.to_thread(hanging.flush, 30) == 0
        one.deal(sends(20))
        owner = one.owner()
        running = asyncio.create_task(owner.run())
        await one.until(lambda: len(one.finals()) == 19, "all others are at their end")
        await one.killed(owner, running)
        assert read(one.settings, "journal") == []
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 20, "the one in doubt has its end")
        finals = one.finals()
        await asyncio.to_thread(hanging.abort_transaction, 30)
    assert sorted(finals.values()) == ["accepted"] * 19 + ["uncertain"]
    assert len(receiver.messages) == 19


async def test_one_connection_that_hangs_holds_up_neither_the_others_nor_a_recovery(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Its offset stays, the others' ends are in the checkpoint; who takes the slot then passes them over."""
    async with Receiver() as receiver, slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one:
        receiver.script["dot"] = [Stall(30), "250 2.0.0 queued"]
        one.deal(sends(50))
        owner = one.owner()
        running = asyncio.create_task(owner.run())
        await one.until(lambda: len(one.finals()) == 49, "all others are at their end")
        await one.killed(owner, running)
        first, _ = one.committed()
        assert first < CONNECTIONS
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 50, "the one in doubt has its end")
            await one.until(lambda: one.committed()[0] == 50, "all is committed")
        finals = one.finals()
    assert sorted(finals.values()) == ["accepted"] * 49 + ["uncertain"]
    assert len(receiver.messages) == 49


async def test_a_connection_that_is_dropped_behind_the_dot_is_uncertain_or_sent_again(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The sender lives, the receiver does not say: as the campaign says, never guessed."""
    async with (
        Receiver(script={"dot": Drop()}) as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one,
    ):
        hold, again = sends(2)
        one.deal([hold, msgspec.structs.replace(again, on_uncertain="resend")])
        async with one.owned():
            await one.until(lambda: len(one.deliveries()) == 2, "both are told of")
        told = {delivery.send_id: delivery.type for delivery in one.deliveries()}
        (returned,) = read(one.settings, "returns")
    assert told == {hold.send_id: "uncertain", again.send_id: "deferred"}
    assert again.send_id.encode() in (returned.value() or b"")


async def test_what_does_not_end_in_time_is_cut_and_stays_in_doubt(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would go on beside the slot's next owner, from the same IP; the last checkpoint names it."""
    monkeypatch.setattr("agents.slot.owner.DRAIN_S", 0.5)
    async with (
        Receiver(script={"dot": Stall(30)}) as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one,
    ):
        one.deal(sends(6))
        async with one.owned() as owner:
            await one.until(lambda: len(one.journal()) >= CONNECTIONS, "four hang")
            await one.until(lambda: owner.connections == CONNECTIONS, "on four connections")
        last = [entry for entry in one.journal() if isinstance(entry, Checkpoint)]
        assert one.finals() == {}
    assert receiver.open == 0 or all(session.closed for session in receiver.sessions)
    assert not last or len(last[-1].open) == CONNECTIONS


async def test_a_defect_ends_the_slot_once_the_others_are_through(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A fuse that blows ends the process: what is past MAIL FROM comes to its end and is committed before."""

    def broken(one: Send) -> Message:
        if one.send_id == f"{1:032x}":
            raise RuntimeError("a defect")
        return plain(one)

    async with (
        Receiver(script={"dot": Stall(0.3)}) as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one,
    ):
        one.compose = broken
        one.deal(sends(4))
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 4, "all have an end")
        finals = one.finals()
        (letter,) = read(one.settings, "dead-letters")
    assert finals[f"{1:032x}"] == "rejected"
    assert sum(type_ == "accepted" for type_ in finals.values()) == 3
    assert dict(letter.headers() or ())["error"] == b"RuntimeError: a defect"


async def test_an_outcome_that_does_not_fit_is_made_short_and_its_send_is_a_dead_letter(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A send that came back would fill more than a record: it ends as rejected, once, and the slot goes on."""
    large: dict[str, Any] = {"note": secrets.token_urlsafe(MESSAGE_BYTES)[: MESSAGE_BYTES - 1_500]}
    async with (
        Receiver(script={"rcpt": lambda to: "451 4.7.1 not now" if "u0@" in to else "250 2.1.5 ok"}) as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one,
    ):
        first, second = sends(2)
        one.deal([msgspec.structs.replace(first, variables=large)])
        one.deal([second])
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 2, "both have an end")
        finals = one.finals()
        letters = read(one.settings, "dead-letters")
        returns = read(one.settings, "returns")
    assert sorted(finals.values()) == ["accepted", "rejected"]
    assert [dict(letter.headers() or ())["reason"] for letter in letters] == [b"outcome refused by Kafka"]
    assert returns == []


async def test_a_dead_address_is_suppressed_before_its_bounce_is_told(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Who reads the bounce finds the suppression."""
    async with (
        Receiver(script={"rcpt": "550 5.1.1 no such user"}) as receiver,
        slot(kafka_bootstrap, topic_prefix, tmp_path, receiver) as one,
    ):
        one.deal(sends(1))
        async with one.owned():
            await one.until(lambda: len(one.finals()) == 1, "it bounced")
            suppressed = read(one.settings, "suppressions", isolation="read_uncommitted")
    assert len(suppressed) == 1
