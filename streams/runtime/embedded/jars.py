"""`python -m streams.runtime.embedded.jars`: fetch the embedded Kafka's jars ahead (`make setup` does).

`--relock` resolves COORDINATES and all that they need at run time afresh, and writes the lock: for a new Kafka, change
KAFKA_VERSION (jar_cache.py), relock, run the tests, commit the lock.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from streams.runtime.embedded.errors import ExtraMissing, JarsUnavailable
from streams.runtime.embedded.jar_cache import FETCH_TIMEOUT_S, KAFKA_VERSION, LOCK_FILE, fetch, jar_dir, locked_jars

__all__ = ["COORDINATES", "main", "relock"]

COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    # Kafka speaks SLF4J 1.7; its pom leaves the bridge to log4j 2 to the distribution. `!`: log4j's own list of
    # versions (which has kafka-clients 3.9) must not decide about Kafka's jars.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!",
)


def relock(lock_file: Path = LOCK_FILE) -> int:
    """Resolve the coordinates and all that they need at run time; write the lock; return the number of jars."""
    from jgo.env import LockFile  # noqa: PLC0415 - the extra is needed only to fetch
    from jgo.maven import MavenContext  # noqa: PLC0415 - as above
    from jgo.parse import Coordinate  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as repository:
        context = MavenContext(repo_cache=Path(repository), timeout=FETCH_TIMEOUT_S)
        wanted = [context.create_dependency(replace(Coordinate.parse(c), scope="compile")) for c in COORDINATES]
        named, needed = context.resolver.resolve(wanted)
        found = [*named, *(dep for dep in needed if dep.scope in {"compile", "runtime"})]
        lock = LockFile.from_resolved_dependencies(
            found, environment_name="evenpost-embedded-kafka", min_java_version=17
        )
        lock.save(lock_file.resolve())
    return len(found)


def main() -> int:
    """Fetch what is missing, with progress; the exit code."""
    if "--relock" in sys.argv[1:]:
        sys.stdout.write(f"{relock()} jars locked in {LOCK_FILE.resolve()}\n")
        return 0
    live = sys.stdout.isatty()

    def show(done: int, of: int, name: str) -> None:
        if live:
            sys.stdout.write(f"\r\x1b[KApache Kafka {KAFKA_VERSION}: jar {done}/{of} {name}")
        elif done in {1, of} or done % 10 == 0:
            sys.stdout.write(f"Apache Kafka {KAFKA_VERSION}: jar {done}/{of} {name}\n")
        sys.stdout.flush()

    try:
        fetched = fetch(show)
    except (JarsUnavailable, ExtraMissing) as failed:
        sys.stderr.write(f"\n{failed}\n")
        return 1
    if live and fetched:
        sys.stdout.write("\n")
    sys.stdout.write(f"Apache Kafka {KAFKA_VERSION}: {len(locked_jars())} jars ready in {jar_dir()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
