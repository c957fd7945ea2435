"""One slot on a real broker and a real receiver, its sends in a real topic; the group's part is played by the test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from confluent_kafka import Producer

from agents.slot.owner import SlotOwner
from agents.slot.shared import Shared
from schemas import topics
from schemas.events import Checkpoint, Delivery, Intent, Outcome, Send
from schemas.topics import MESSAGE_BYTES
from streams.compose.message import Message
from streams.delivery.journal import decode
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.routes import Router
from streams.delivery.shaping import load
from streams.runtime.partition.fuse import Fuse
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings, SmtpSettings
from streams.views import World
from tests.compose import builders
from tests.runtime.builders import deployed, read
from tests.support.receiver import Receiver

LANE: Final = topics.SENDS_MARKETING.name
CONNECTIONS: Final = 4
LIMIT_S: Final = 60.0


def sends(number: int, **changes: Any) -> list[Send]:
    """Sends of slot 0, of now, each to a person of its own."""
    now = datetime.now(UTC)
    given = {
        "slot": 0,
        "queued_at": now,
        "created_at": now,
        "due": now,
        "expire_at": now + timedelta(hours=1),
    } | changes
    return [
        msgspec.structs.replace(builders.send(address=f"u{n}@docomo.example"), send_id=f"{n:032x}", **given)
        for n in range(number)
    ]


class Slot:
    """What one slot of a deployment can be given and asked."""

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        self.settings = settings
        self.receiver = receiver
        self.world = World()
        via = {"kind": "smarthost", "host": "127.0.0.1", "port": receiver.port}
        self.world.apply("egress", "0", msgspec.json.encode({"slot": 0, "via": via, "ehlo": "m0.mail.example"}))
        self.compose: Callable[[Send], Message | None] = plain
        self.in_group = True
        self._shared: Shared | None = None
        self._group = f"{settings.kafka.prefix}sender"
        self._lane: list[Any] = []
        self._closing = contextlib.ExitStack()
        self._producer = RecordProducer(settings.kafka, client_id="t")
        self._closing.callback(self._producer.close)
        self._executor = ThreadPoolExecutor(4)

    def deal(self, dealt: Sequence[Send]) -> None:
        """Put sends into the slot's lane."""
        producer = Producer(
            {"bootstrap.servers": self.settings.kafka.bootstrap, "message.max.bytes": 2 * MESSAGE_BYTES}
        )
        topic, reports = self.settings.topic(LANE), list[Any]()
        for one in dealt:
            value = msgspec.json.encode(one)
            producer.produce(topic, value, b"k", 0, on_delivery=lambda _, message: reports.append(message))
        assert producer.flush(LIMIT_S) == 0
        self._lane += [
            SimpleNamespace(topic=topic, partition=0, offset=one.offset(), key=b"k", value=one.value())
            for one in reports
        ]

    def committed(self) -> tuple[int, str]:
        """The lane's offset and its metadata, as the group has them."""
        group = GroupOffsets(self.settings.kafka, self._group)
        deadline = time.monotonic() + LIMIT_S
        try:
            while (found := group.committed([self.settings.topic(LANE)], 0)) is None:  # a commit is being marked
                assert time.monotonic() < deadline, "the group's offsets are not told"
        finally:
            group.close()
        one = found[self.settings.topic(LANE)]
        return one.offset, one.metadata

    def owner(self) -> SlotOwner:
        """A new process that was given the slot: it is fed from the group's offset on."""
        self._shared = self._made_shared()
        return self.same_owner()

    def same_owner(self) -> SlotOwner:
        """The slot given, anew, to the process that had it last."""
        assert self._shared is not None
        owner = SlotOwner(0, self._shared)
        start = self.committed()[0]
        for message in self._lane:
            if message.offset >= start:
                owner.put(message)
        return owner

    def _made_shared(self) -> Shared:
        group = GroupOffsets(self.settings.kafka, self._group)
        self._closing.callback(group.close)
        return Shared(
            settings=self.settings,
            member="sender-0",
            world=self.world,
            replication=SimpleNamespace(fresh=lambda: True),  # type: ignore[arg-type]  # what is asked of the views' reader
            compose=self.compose,
            producer=self._producer,
            shaping=load(self.settings.smtp.shaping),
            router=Router.seeded(smtp=self.settings.smtp, dns=self.settings.dns, seed=1),
            outcome_settings=OutcomeSettings(address_key=b"k" * 32, retry_scale=0.001),
            group=group,
            executor=self._executor,
            fuse=Fuse(0.5),
            is_owner=self._is_owner,
            worked=lambda _: None,
            in_background=_in_background,
        )

    async def _is_owner(self) -> bool:
        return self.in_group

    @contextlib.asynccontextmanager
    async def owned(self, owner: SlotOwner | None = None) -> AsyncIterator[SlotOwner]:
        """An owner at work, by default of a new process; stopped at the end."""
        owner = owner or self.owner()
        running = asyncio.create_task(owner.run())
        try:
            yield owner
            await owner.stop()
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def killed(self, owner: SlotOwner, running: asyncio.Task[None]) -> None:
        """As near to SIGKILL as a part of a process gets: nothing is said any more, connections are reset."""
        assert owner._session is not None
        outbox = owner._session._outbox
        outbox._producer.close()
        running.cancel()
        await asyncio.wait({running})

    def deliveries(self) -> list[Delivery]:
        """What committed readers know of each send."""
        return [msgspec.json.decode(one.value() or b"", type=Delivery) for one in read(self.settings, "deliveries")]

    def finals(self) -> dict[str, str]:
        """The final type of each send; a send with two fails."""
        found: dict[str, str] = {}
        for one in self.deliveries():
            if one.final:
                assert one.send_id not in found, f"two finals of {one.send_id}"
                found[one.send_id] = one.type
        return found

    def journal(self) -> list[Intent | Outcome | Checkpoint]:
        """All facts, committed or not."""
        records = read(self.settings, "journal", isolation="read_uncommitted")
        return [decode(one.value() or b"") for one in records]

    async def until(self, fact: Callable[[], bool], what: str) -> None:
        """Poll for a fact while the slot goes on."""
        deadline = asyncio.get_running_loop().time() + LIMIT_S
        while not await asyncio.to_thread(fact):
            assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {LIMIT_S:.0f} s"
            await asyncio.sleep(0.05)

    def close(self) -> None:
        """End the clients."""
        self._closing.close()
        self._executor.shutdown(wait=False)


def plain(one: Send) -> Message:
    """A small message of this send."""
    data = f"From: <news@acme.example>\r\nMessage-ID: <{one.send_id}@acme.example>\r\n\r\nhello\r\n".encode()
    return Message(
        envelope_from="b@acme.example",
        envelope_to=one.to.address,
        data=data,
        message_id=f"<{one.send_id}@acme.example>",
    )


@contextlib.asynccontextmanager
async def slot(bootstrap: str, prefix: str, folder: Path, receiver: Receiver, **smtp: Any) -> AsyncIterator[Slot]:
    """Slot 0 of a deployment, its mail to this receiver."""
    settings = deployed(bootstrap, prefix, folder).model_copy(
        update={
            "smtp": SmtpSettings(**({"connections_per_slot": CONNECTIONS, "connections_per_host": CONNECTIONS} | smtp))
        }
    )
    made = Slot(settings, receiver)
    try:
        yield made
    finally:
        made.close()


_background: set[asyncio.Task[None]] = set()


def _in_background(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _background.add(task)
    task.add_done_callback(_background.discard)
