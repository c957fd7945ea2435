"""Apache Kafka's jars, by Maven coordinates, each held to the sha256 in the committed lock.

1. `jgo.lock.toml` names every jar (coordinates and sha256, no addresses).
2. What is missing in the per-user cache is fetched by jgo, a few at once, into a staging folder of this process.
3. Its sha256 is compared with the lock's; only then it is moved into place, so a broken fetch leaves no half jar.
4. The class path is the cache's jars, modular or not: all of them, in the lock's order.

Once fetched nothing needs the network. `python -m streams.runtime.embedded.jars` fetches ahead and writes the lock.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from streams.runtime.embedded.errors import ExtraMissing, JarsUnavailable

__all__ = [
    "FETCH_TIMEOUT_S",
    "KAFKA_VERSION",
    "LOCK_FILE",
    "Jar",
    "Progress",
    "class_path",
    "fetch",
    "jar_dir",
    "locked_jars",
    "missing_jars",
]

KAFKA_VERSION = "4.1.1"
LOCK_FILE = Path(__file__).with_name("jgo.lock.toml")
# Jars at once: a mirror answers one small file slowly, and more than this is impolite.
FETCHERS = 4
# Seconds without a byte: the largest jar has 6 MB, and a slow link still sends something each minute.
FETCH_TIMEOUT_S = 60
# A fetch is repeated this often in all: mirrors reset a connection now and then.
ATTEMPTS = 3

Progress = Callable[[int, int, str], None]


class Jar(msgspec.Struct, frozen=True, rename={"group_id": "groupId", "artifact_id": "artifactId"}):
    """One line of the lock."""

    group_id: str
    artifact_id: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The jar's name, as in any Maven repository."""
        return f"{self.artifact_id}-{self.version}.jar"

    @property
    def coordinates(self) -> str:
        """Maven's `group:artifact:version`."""
        return f"{self.group_id}:{self.artifact_id}:{self.version}"


def cache_dir() -> Path:
    """`EVENPOST_CACHE_DIR`, or the user's cache directory."""
    named = os.environ.get("EVENPOST_CACHE_DIR")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "evenpost"


def jar_dir() -> Path:
    """Where this version's jars are kept."""
    return cache_dir() / f"kafka-{KAFKA_VERSION}"


def locked_jars(lock_file: Path = LOCK_FILE) -> list[Jar]:
    """All jars that the lock names, in its order."""
    return msgspec.convert(tomllib.loads(lock_file.read_text())["dependencies"], list[Jar])


def missing_jars(directory: Path | None = None) -> list[Jar]:
    """Those that the cache lacks or that differ from the lock (45 jars are hashed in 0.1 s)."""
    place = directory or jar_dir()
    return [jar for jar in locked_jars() if _sha256(place / jar.file_name) != jar.sha256]


def class_path(progress: Progress | None = None) -> str:
    """The class path of a complete cache, fetching what it lacks.

    Raises:
        JarsUnavailable: a jar can't be fetched or isn't the one locked.
    """
    fetch(progress)
    return os.pathsep.join(str(jar_dir() / jar.file_name) for jar in locked_jars())


def fetch(progress: Progress | None = None) -> int:
    """Fill the cache; return how many jars were fetched. `progress` gets (done, of, name) after each."""
    place = jar_dir()
    todo = missing_jars(place)
    if not todo:
        return 0
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=place) as staging, ThreadPoolExecutor(FETCHERS) as pool:
        tasks = {pool.submit(_fetch_one, jar, place=place, staging=Path(staging)): jar for jar in todo}
        try:
            for done, task in enumerate(as_completed(tasks), start=1):
                task.result()
                if progress is not None:
                    progress(done, len(todo), tasks[task].file_name)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(todo)


def _fetch_one(jar: Jar, *, place: Path, staging: Path) -> None:
    """Fetch by jgo into a Maven-shaped folder of its own, compare, move into place."""
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - the extra is needed only to fetch
    except ImportError as missing:
        raise ExtraMissing("jgo") from missing
    reason = ""
    for attempt in range(ATTEMPTS):
        repository = staging / f"{jar.file_name}.{attempt}"
        context = MavenContext(repo_cache=repository, timeout=FETCH_TIMEOUT_S)
        try:
            artifact = context.project(jar.group_id, jar.artifact_id).at_version(jar.version).artifact()
            fetched = Path(artifact.resolve())
        except Exception as failed:  # noqa: BLE001 - jgo raises requests' and its own, without a common base
            reason = str(failed)
            continue
        found = _sha256(fetched)
        if found == jar.sha256:
            fetched.replace(place / jar.file_name)
            shutil.rmtree(repository, ignore_errors=True)
            return
        reason = f"its sha256 is {found}, the lock says {jar.sha256}"
    raise JarsUnavailable(
        f"The embedded Kafka needs {jar.coordinates}, and it can't be fetched: {reason}. Check the way to your Maven "
        f"repository, or copy the jar to {place / jar.file_name}; or use your own Kafka: EVENPOST_KAFKA__BOOTSTRAP."
    )


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
