"""Dead letters back to where they came from, each at most once, however often the command runs and wherever it dies.

1. Shut out any other replay of the deployment (`ExclusiveWriter`).
2. Read `dead-letters` once, for headers and markers: what is not replayed yet and meant by the policy, oldest first.
3. Read it again and write in transactions: the original bytes to their topic, and a marker beside the letter.  A record
   is visible exactly when its marker is.

Placement is by key, as upstream's would be; a gate finds misplaced ones by itself.  A record without a key goes back to
the partition it stood in.  Headers of upstream's own are not kept in dead letters, and those by which the gate knows a
record that it forwarded must not come back: what is replayed is a new event, and counts as one (DESIGN.md, G1).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.topics import DEAD_LETTERS
from streams.operate.dead_letter import LETTER, MARKER, ORIGIN, Letter, replayed_place
from streams.operate.dead_letter_policy import Policy, obstacle
from streams.operate.errors import OperateError, RefusedError
from streams.runtime.cluster import KafkaRecord, read_all, read_settled
from streams.runtime.exclusive import ExclusiveWriter, FencedError, Record, TransactionAbortedError
from streams.runtime.settings import Settings

WRITER: Final = "dead-letters-replay"
# A transaction ends within 5 s: so many records, or so many bytes, take a fraction of a second.
BATCH: Final = 200
BATCH_BYTES: Final = 4 * 1024 * 1024

Place = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a policy means now: letters to replay, oldest first; letters that can't be, with why; and those done."""

    letters: Sequence[Letter]
    refused: Sequence[tuple[Letter, str]]
    done: int

    def groups(self) -> list[dict[str, Any]]:
        """Counts by topic and reason, and whether they can be replayed."""
        counts = Counter((one.topic, one.reason, "") for one in self.letters)
        counts.update((one.topic, one.reason, why) for one, why in self.refused)
        return [
            {"topic": topic, "reason": reason, "letters": count, "obstacle": why or None}
            for (topic, reason, why), count in sorted(counts.items())
        ]


@dataclass(kw_only=True)
class Replayed:
    """What was done.  `not_taken`: the broker refuses it for what it is, its size say."""

    written: int = 0
    not_taken: list[Letter] = field(default_factory=list)


def choose(settings: Settings, policy: Policy, *, limit: int | None = None) -> Chosen:
    """Read all dead letters and say which are meant."""
    meant: list[Letter] = []
    done: set[Place] = set()
    for record in read_settled(settings, DEAD_LETTERS):
        marked = replayed_place(record)
        if marked is not None:
            done.add(marked)
        elif policy.takes(letter := Letter.of(record)):
            meant.append(letter)
    fresh = [letter for letter in meant if letter.place not in done]
    can = sorted((one for one in fresh if obstacle(one) is None), key=_age)
    refused = [(one, why) for one in fresh if (why := obstacle(one)) is not None]
    return Chosen(letters=can[:limit], refused=refused, done=len(meant) - len(fresh))


def replay(
    settings: Settings,
    policy: Policy,
    *,
    limit: int | None = None,
    agreed: Callable[[Chosen], bool] = lambda _: True,
) -> tuple[Chosen, Replayed]:
    """Choose, ask `agreed`, and write.  Raises RefusedError where another replay took over meanwhile."""
    result = Replayed()
    try:
        with ExclusiveWriter(settings, WRITER) as writer:
            chosen = choose(settings, policy, limit=limit)
            if chosen.letters and agreed(chosen):
                for batch in _batches(_bodies(settings, chosen.letters)):
                    refused = writer.write([_records(settings, letter, record) for letter, record in batch])
                    result.written += len(batch) - len(refused)
                    result.not_taken += [batch[at][0] for at in refused]
    except FencedError:
        raise RefusedError(
            f"another `dead-letters replay` began meanwhile and shut this one out after {result.written} letter(s); "
            "what was replayed is marked: look at `evenpost dead-letters list`, and run it again"
        ) from None
    except TransactionAbortedError as error:
        raise OperateError(
            f"the cluster did not take it ({error}) after {result.written} letter(s); run the command again: "
            "what was replayed is marked and is not sent twice"
        ) from error
    return chosen, result


def _bodies(settings: Settings, letters: Sequence[Letter]) -> Iterator[tuple[Letter, KafkaRecord]]:
    """Each letter with its record, read anew: all bodies at once may not fit into memory."""
    wanted = {letter.place: letter for letter in letters}
    for record in read_all(settings, DEAD_LETTERS):
        letter = wanted.pop((record.partition, record.offset), None)
        if letter is not None:
            yield letter, record
            if not wanted:
                return


def _batches(found: Iterator[tuple[Letter, KafkaRecord]]) -> Iterator[list[tuple[Letter, KafkaRecord]]]:
    batch: list[tuple[Letter, KafkaRecord]] = []
    for one in found:
        batch.append(one)
        if len(batch) >= BATCH or sum(letter.size for letter, _ in batch) >= BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _records(settings: Settings, letter: Letter, record: KafkaRecord) -> tuple[Record, Record]:
    """The original, and the marker that says so."""
    original = Record(
        topic=settings.topic(letter.topic),
        key=record.raw_key or None,
        value=record.value,
        partition=None if record.raw_key else letter.source_partition,
        headers={
            ORIGIN: f"{letter.topic}/{letter.source_partition}/{letter.source_offset}".encode(),
            LETTER: f"{letter.partition}/{letter.offset}".encode(),
        },
    )
    marker = Record(
        topic=settings.topic(DEAD_LETTERS.name),
        key=None,
        value=None,
        partition=letter.partition,
        headers={MARKER: str(letter.offset).encode()},
    )
    return original, marker


def _age(letter: Letter) -> tuple[float, int, int]:
    return (letter.at.timestamp() if letter.at is not None else 0.0, letter.partition, letter.offset)
