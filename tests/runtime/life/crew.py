"""Several lifecycle_worker.py on one deployment, with events that keep coming, and what became of each event."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError

from schemas import topics
from streams.operate.settings_tree import environment
from streams.runtime.children import Child, spawn
from streams.runtime.cluster import Publisher
from streams.runtime.settings import Settings
from tests.runtime.builders import read, until

PROGRAM = Path(__file__).with_name("lifecycle_worker.py")
# Events a second: each partition of six has one each 30 ms.
RATE = 200


class Crew:
    """The workers, by member; a context manager that ends them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.children: dict[str, Child] = {}
        self._logs = settings.data_dir / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._over = threading.Event()
        self._upstream: threading.Thread | None = None
        self.sent = 0

    def start(self, *members: str) -> None:
        """Start these and wait until each is ready."""
        for member in members:
            self.children[member] = self.spawn(member)
        for member in members:
            until((self.settings.data_dir / "run" / f"{member}.json").exists, f"{member} is ready")

    def spawn(self, member: str, settings: Settings | None = None) -> Child:
        """One process."""
        (self.settings.data_dir / "run" / f"{member}.json").unlink(missing_ok=True)  # of one that was killed
        env = environment(settings or self.settings) | {"PYTHONPATH": str(PROGRAM.parents[3])}
        return spawn([sys.executable, PROGRAM, member], log_file=self.log_file(member), env=env, name=member)

    def log_file(self, member: str) -> Path:
        """Its words."""
        return self._logs / f"{member}.log"

    def feed(self) -> None:
        """Have events come until `dry`."""
        self._upstream = threading.Thread(target=self._feed, daemon=True)
        self._upstream.start()

    def _feed(self) -> None:
        with Publisher(self.settings) as publisher:
            while not self._over.wait(0.05):
                for _ in range(RATE // 20):
                    publisher.send(topics.RECIPIENTS_MARKETING, f"acme:u{self.sent % 997}", b"{}")
                    self.sent += 1

    def dry(self) -> None:
        """No more events."""
        self._over.set()
        if self._upstream is not None:
            self._upstream.join()

    def health(self, member: str, path: str = "/readyz") -> Any:
        """What a member answers."""
        told = json.loads((self.settings.data_dir / "run" / f"{member}.health.json").read_bytes())
        try:
            with urllib.request.urlopen(told["health"] + path, timeout=10) as answer:
                body = answer.read()
        except HTTPError as not_ready:
            with not_ready:
                body = not_ready.read()
        return json.loads(body) if path != "/metrics" else body.decode()

    def partitions(self, member: str) -> list[int]:
        """What it owns now."""
        return list(self.health(member)["partitions"])

    def handed(self) -> Counter[str]:
        """How often each event was given to an owner to decide, in any process."""
        files = (self.settings.data_dir / "handed").iterdir()
        return Counter(line for file in files for line in file.read_text(encoding="ascii").splitlines())

    def outputs(self) -> list[tuple[str, int]]:
        """Each event decided, and when (ms of the wall clock), as a reader of committed records meets it."""
        found = read(self.settings, topics.SENDS_MARKETING.name)
        return [((message.value() or b"").decode(), message.timestamp()[1]) for message in found]

    def first_output(self, partitions: list[int], after_ms: float) -> dict[int, float]:
        """Seconds after a moment at which each partition's first output was made."""
        firsts: dict[int, float] = {}
        for source, at in self.outputs():
            partition = int(source.partition("/")[0])
            if partition in partitions and at > after_ms:
                firsts[partition] = min(firsts.get(partition, at), at)
        return {partition: (at - after_ms) / 1000 for partition, at in firsts.items()}

    def longest_gap_s(self, after_ms: float) -> float:
        """The longest time between two outputs of one partition since a moment."""
        times: dict[str, list[int]] = {}
        for source, at in self.outputs():
            if at > after_ms:
                times.setdefault(source.partition("/")[0], []).append(at)
        return max(
            (late - early) / 1000
            for one in times.values()
            for early, late in zip(sorted(one), sorted(one)[1:], strict=False)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dry()
        for child in self.children.values():
            child.begin_stop(5.0)
        for child in self.children.values():
            child.stop(5.0)


def now_ms() -> float:
    """The wall clock, as Kafka stamps records."""
    return time.time() * 1000
