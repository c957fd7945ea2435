"""Java's ahead-of-time cache for Kafka: taken where it fits, and in nobody's way where it doesn't."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from streams.runtime.embedded import jar_cache, start_cache
from streams.runtime.embedded.jvm import java_argv, java_environment

pytestmark = pytest.mark.integration

# Java says no where it can't use what it is told to use; by default it starts without.
MUST = "-XX:AOTMode=on"


@pytest.fixture(scope="module")
def cache() -> Path:
    """The one that `make setup` made, or one made now."""
    place = start_cache.start_cache()
    if not place.exists():
        start_cache.make(place)
    return place


def run(folder: Path, options: Sequence[str] | None, *, jars: str | None = None) -> subprocess.CompletedProcess[str]:
    """Kafka's shortest program."""
    command = java_argv(
        jars or jar_cache.class_path(),
        "kafka.tools.StorageTool",
        arguments=["random-uuid"],
        log_dir=folder,
        options=options,
    )
    return subprocess.run(command, env=java_environment(), capture_output=True, text=True, check=False, timeout=60)


def test_every_start_is_told_of_the_cache_and_java_takes_it(cache: Path, tmp_path: Path) -> None:
    """As made by this Java for these jars; options of one's own stand in its place."""
    told = f"-XX:AOTCache={cache}"
    assert told in java_argv("jars", "Main", arguments=[], log_dir=tmp_path)
    assert told not in java_argv("jars", "Main", arguments=[], log_dir=tmp_path, options=[MUST])
    ran = run(tmp_path, [told, MUST])
    assert ran.returncode == 0, ran.stderr


def test_a_cache_that_does_not_fit_is_left_aside(cache: Path, tmp_path: Path) -> None:
    """Made for other jars, or cut off: the same output, no word of it."""
    jars = jar_cache.class_path()
    others = ":".join(reversed(jars.split(":")))
    assert run(tmp_path, [f"-XX:AOTCache={cache}", MUST], jars=others).returncode != 0
    half = tmp_path / "half.aot"
    half.write_bytes(cache.read_bytes()[: cache.stat().st_size // 2])
    for ran in (run(tmp_path, [f"-XX:AOTCache={cache}"], jars=others), run(tmp_path, [f"-XX:AOTCache={half}"])):
        assert (ran.returncode, ran.stderr) == (0, "")
        assert len(ran.stdout.strip()) == 22
