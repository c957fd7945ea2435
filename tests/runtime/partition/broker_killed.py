"""A broker that is killed under an outbox, and the owners of the slot meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path

from streams.runtime.embedded import EmbeddedKafka
from streams.runtime.errors import FencedError, TransactionAbortedError
from tests.runtime.builders import deployed
from tests.runtime.partition.outboxes import Slot, taken, until

# Sends at a time, each an intent and then its effects; seconds of it before the broker is killed.
AT_A_TIME, BEFORE_S = 4, 1.5
# Sends that show that it works again.
AFTER = 50


class Work:
    """Sends, begun in order, by whoever owns the slot: what is said of one is said again until it is committed."""

    def __init__(self) -> None:
        self.begun = 0
        self.stopped = False
        self.acked: list[bytes] = []

    async def send(self, slot: Slot) -> None:
        """One worker of an owner: ends with it, or when told."""
        while not self.stopped:
            number, self.begun = self.begun, self.begun + 1
            intent = b"intent %d" % number
            while True:
                try:
                    await slot.fact(intent)
                except TransactionAbortedError:
                    continue
                break
            self.acked.append(intent)
            slot.effect(b"%d" % slot.done)


async def own(slot: Slot, work: Work) -> bool:
    """Own the slot until the work is over; False where it was fenced before."""
    async with taken(slot) as running:
        workers = [asyncio.create_task(work.send(slot)) for _ in range(AT_A_TIME)]
        ended = asyncio.gather(*workers)
        await asyncio.wait({ended, running}, return_when=asyncio.FIRST_COMPLETED)
        try:
            await ended
            await slot.outbox.end()
            await running
        except FencedError:
            await asyncio.gather(*workers, return_exceptions=True)
            return False
        return True


async def survived(folder: Path, prefix: str, *, away_s: float) -> None:
    """Each effect counts once: said again by this owner from memory, or by the next from the committed offset.

    And no intent that was acked is missing in the journal.  `away_s` beyond the broker's own start.
    """
    broker = EmbeddedKafka(folder / "broker")
    bootstrap = broker.start()
    settings = deployed(bootstrap, prefix, folder)
    work = Work()

    async def torment() -> None:
        nonlocal broker
        await until(lambda: len(work.acked) > AT_A_TIME, "sends under way")
        await asyncio.sleep(BEFORE_S)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(away_s)
        broker = EmbeddedKafka(folder / "broker", port=int(bootstrap.rpartition(":")[2]))
        await asyncio.to_thread(broker.start)
        back = len(work.acked)
        await until(lambda: len(work.acked) > back + AFTER, "sends after the broker is back")
        work.stopped = True

    tormenting = asyncio.create_task(torment())
    try:
        slot = Slot(settings, every_s=0.3)
        while not await own(slot, work):
            slot = Slot(settings, every_s=0.3)
        await tormenting
        done = slot.done
        assert slot.committed == done
        reader = Slot(settings)
        assert (await reader.named()).offset == done
        assert await reader.effects(least=done) == Counter({b"%d" % number: 1 for number in range(done)})
        assert set(work.acked) - set(await reader.journal()) == set()
        reader.close()
    finally:
        tormenting.cancel()
        with suppress(asyncio.CancelledError):
            await tormenting
        await asyncio.to_thread(broker.stop)
