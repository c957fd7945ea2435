"""Asks the broker, all the while, what is committed and how far outputs reach: "never" is not seen at the end.

Each sample asks for the committed offsets *first* and for the outputs' ends right after: whatever an offset stands for
must be below those ends.  And it reads the broker's log of commits, before that is compacted.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from streams.runtime.commit_log import Commit, CommitLog
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.observer import Observer, Place
from streams.runtime.settings import KafkaSettings

EVERY_S: Final = 0.5


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker said at one moment (epoch seconds)."""

    at: float
    committed: Mapping[Place, int]
    high: Mapping[Place, int]
    stable: Mapping[Place, int]


class Sampler:
    """A thread that samples until stopped."""

    def __init__(self, kafka: KafkaSettings, group: str, *, sources: Sequence[Place], outputs: Sequence[Place]) -> None:
        self._observer = Observer(kafka, group)
        self._log = CommitLog(kafka, group)
        self.sources = sources
        self._outputs = outputs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.samples: list[Sample] = []
        self.unanswered = 0
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def events_committed(self) -> int:
        """How many events the group is done with, as last seen."""
        return sum(self.samples[-1].committed.values()) if self.samples else 0

    @property
    def commits(self) -> tuple[Commit, ...]:
        """What the log tells so far: all that the last sample knows, and maybe more."""
        return tuple(self._log.commits)

    def _run(self) -> None:
        try:
            while not self._stop.wait(EVERY_S):
                self._sample()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._observer.close()
            self._log.close()

    def _sample(self) -> None:
        try:
            at = time.time()
            committed = self._observer.committed(self.sources)
            high = self._observer.ends(self._outputs, "high")
            stable = self._observer.ends(self._outputs, "stable")
            self._log.read()
        except ClusterUnreachableError:
            self.unanswered += 1
            return
        self.samples.append(Sample(at=at, committed=committed, high=high, stable=stable))
