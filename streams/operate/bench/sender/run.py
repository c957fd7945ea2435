"""The bench from its broker to its last round.

1. A broker, a DKIM key.
2. A run with the journal that counts in no figure: a broker just started takes 0.9 ms of CPU a message to compile
   itself, and whichever side went first would pay for it.
3. Rounds: both sides, each a sender process of its own with its own topics and its own receiver; who begins alternates.
4. Of each: the sends are in Kafka before the sender starts; the clock (`clock`) runs while it works them off.
5. Then, once its offsets are committed, it is ended as an operator would, and audited (`audit`).
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from streams.operate.bench import mailing, sink, stage
from streams.operate.bench.sender import audit, clock, page, scene, sides
from streams.operate.bench.sender.clock import Late, Measured
from streams.operate.bench.sender.sides import Side
from streams.operate.proof.receiving import make_key
from streams.operate.settings_tree import environment
from streams.operate.up import GRACE_S
from streams.runtime.children import Child, spawn
from streams.runtime.embedded import state
from streams.runtime.settings import Settings

SENDER: Final = "sender"
BROKER: Final = "broker"
# A process begins, joins its group and takes its slots within this, on a machine that has other work; and no connection
# of it waits as long for a receiver that answers at once.
STILL_S: Final = 60.0
# A commit a second, and a broker that is slow.
COMMITTED_S: Final = 15.0
LOOK_S: Final = 0.2
TAIL_LINES: Final = 12
# The number of the round before the first.
WARM_UP: Final = 0


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one round: what was measured, and what was wrong."""

    side: Side
    round: int
    measured: Measured | None
    faults: tuple[str, ...]

    @property
    def line(self) -> str:
        """In one line."""
        if self.round == WARM_UP and not self.faults:
            return "the broker is warm"
        told = "nothing" if self.measured is None else f"{self.measured.per_s:,.0f} messages/s"
        wrong = f"  {'; '.join(self.faults)}" if self.faults else ""
        return f"round {self.round}  {self.side} the journal: {told}{wrong}"


class Benched(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured."""

    messages: int
    slots: int
    rounds: int
    octets: int
    sink: str
    ran: tuple[Ran, ...]

    def measured(self, side: Side) -> dict[int, Measured]:
        """A side's, by round."""
        return {one.round: one.measured for one in self.ran if one.side == side and one.measured is not None}


Say = Callable[[str], None]


def bench(base: Settings, folder: Path, begin: Say, done: Say, *, messages: int, slots: int, rounds: int) -> Benched:
    """Run it in this folder; told what begins, and what came of it.

    Raises FleetError, RuntimeFault or EmbeddedError, with nothing left running.
    """
    begin("starting Kafka")
    ran: list[Ran] = []
    with stage.broker(base, folder) as alone:
        make_key(folder / mailing.KEY_FILE)
        octets = mailing.octets(folder, datetime.now(UTC))
        begin("warming the broker up")
        warmed = _run(alone, "with", WARM_UP, messages=messages, slots=slots)
        ran.append(msgspec.structs.replace(warmed, measured=None))
        done(ran[-1].line)
        for number in range(1, rounds + 1):
            for side in sides.order(number):
                begin(f"{side} the journal, round {number} of {rounds}")
                ran.append(_run(alone, side, number, messages=messages, slots=slots))
                done(ran[-1].line)
    return Benched(messages=messages, slots=slots, rounds=rounds, octets=octets, sink=sink.kind(), ran=tuple(ran))


def _run(alone: Settings, side: Side, number: int, *, messages: int, slots: int) -> Ran:
    run = f"{side}-{number}"
    folder = scene.folder(alone, run)
    folder.mkdir()
    with sink.receiving(folder) as receiver:
        settings = scene.settings(alone, run, slots=slots, sink_port=receiver.port)
        scene.fill(settings, messages=messages)
        measured, wrong = _work(settings, side, receiver, messages=messages)
        wrong += audit.faults(settings, side, messages=messages, counted=receiver.count())
    return Ran(side=side, round=number, measured=measured, faults=tuple(wrong))


def _work(settings: Settings, side: Side, receiver: sink.Sink, *, messages: int) -> tuple[Measured | None, list[str]]:
    """The sender from its start to its end, and what was wrong with it."""
    with _sender(settings, side) as child:
        try:
            measured = clock.measure(
                receiver.count,
                lambda: page.read(settings),
                _pids(settings, child),
                messages=messages,
                patience_s=STILL_S,
                alive=lambda: child.alive,
            )
        except Late as late:
            if not child.alive:
                return None, [f"the sender ended with {child.returncode}, {late}\n{_tail(_log(settings))}"]
            child.stop(GRACE_S)
            return None, [f"the sender stands still, {late}"]
        committed_by = time.monotonic() + COMMITTED_S
        while not audit.committed(settings) and time.monotonic() < committed_by:
            time.sleep(LOOK_S)
        code = child.stop(GRACE_S)
    return measured, [f"the sender ended with {code}"] if code else []


@contextlib.contextmanager
def _sender(settings: Settings, side: Side) -> Iterator[Child]:
    with spawn(sides.program(side), log_file=_log(settings), env=environment(settings), name=SENDER) as child:
        try:
            yield child
        finally:
            child.kill()


def _pids(settings: Settings, child: Child) -> dict[str, int]:
    """Whose CPU is counted; the broker's where it is ours."""
    broker = state.running(settings.data_dir.parent)
    return {SENDER: child.pid} | ({BROKER: broker.pid} if broker is not None else {})


def _log(settings: Settings) -> Path:
    return settings.data_dir / "sender.log"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
