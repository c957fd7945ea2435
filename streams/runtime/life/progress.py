"""How far the partitions of a Faust role are done: by the owner or the ledger, by aiokafka, and by the broker.

The first event that an owner has begun and not finished is where its topic stands.  An owner with nothing open stands
where aiokafka reads on, which is past aborted records and commit markers: those are no lag.  The end is the last stable
offset that the latest fetch told: behind it lies what no reader may see yet, which is not our delay.

A topic of which no fetch told anything yet has something left, one: else a worker that is never given anything would
look like one that has nothing to do.  The first fetch, also of an empty topic, tells within a second.
"""

from collections.abc import Iterator
from typing import Any, Final

from faust.types import TP

from streams.runtime.app import EvenpostApp
from streams.runtime.life.vitals import NOT_TOLD, Progress, Reach
from streams.runtime.partition.ownership import Owner, Ownership

# Taking a partition over moves nothing: 10 million persons without local state take minutes, a broker that is away
# longer still.  Half an hour without a result is a fault.
RECOVERY_PATIENCE_S: Final = 1_800.0


def progress(app: EvenpostApp, ownership: Ownership, *, patience_s: float) -> Iterator[Progress]:
    """Each owned partition number's progress over the topics that this worker was assigned."""
    state = _assignment(app)
    if state is None:
        return
    for partition in ownership.partitions:
        owner = ownership.owner(partition)
        if owner is None:
            continue
        reaches = tuple(_reach(app, owner, tp, state) for tp in sorted(state.tps) if tp.partition == partition)
        yield Progress(
            partition=partition,
            reaches=reaches,
            patience_s=patience_s if owner.ready else max(patience_s, RECOVERY_PATIENCE_S),
        )


def _assignment(app: EvenpostApp) -> Any:
    """What aiokafka knows of the partitions assigned; read from another thread, changed by assignments alone."""
    faust: Any = app.consumer
    consumer = faust._thread._consumer  # noqa: SLF001  # Faust hands out copies, a call to its thread each
    subscription = None if consumer is None else consumer._subscription.subscription  # noqa: SLF001  # as above
    return None if subscription is None else subscription.assignment


def _reach(app: EvenpostApp, owner: Owner, tp: TP, state: Any) -> Reach:
    first = _first_open(app, owner, tp)
    topic = tp.topic.removeprefix(app.settings.kafka.prefix)
    fetched = state.state_value(tp)
    if fetched is not None and fetched.has_valid_position and fetched.lso is not None:
        done = fetched.position if first is None else first
        return Reach(topic=topic, done=done, end=max(fetched.lso, done))
    at = NOT_TOLD if first is None else first
    return Reach(topic=topic, done=at, end=at + 1)


def _first_open(app: EvenpostApp, owner: Owner, tp: TP) -> int | None:
    """The first event begun and not done, if any: an owner that keeps no ledger knows by itself what it committed."""
    committed = owner.positions()
    if committed is None:
        return app.ledger.first_open(tp.topic, tp.partition)
    return committed.get(tp.topic) if owner.backlog(tp.topic) else None
