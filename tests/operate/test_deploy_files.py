"""Compose file and Dockerfile name settings, roles and files that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.operate.settings_tree import variables
from streams.operate.up import ROLES
from streams.runtime.life.stopping import SCALE_IN_SIGNAL
from streams.runtime.life.worker import APP_LIMIT_S, RELEASE_LIMIT_S

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
OURS = ("topics", *ROLES)


def services() -> dict[str, Any]:
    """The compose file's services."""
    found = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    assert isinstance(found, dict)
    return found


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text(encoding="utf-8"))
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [(name.upper(), rest) for name, _, rest in (line.partition(" ") for line in lines)]


@pytest.mark.parametrize("path", [COMPOSE, DOCKERFILE], ids=lambda path: path.name)
def test_every_variable_named_is_a_setting(path: Path) -> None:
    """A setting that was renamed must not linger in a deployment."""
    named = set(re.findall(r"EVENPOST_[A-Z_]+", path.read_text(encoding="utf-8")))
    assert named
    assert named <= variables()


def test_each_role_is_a_service_of_its_own() -> None:
    """Every role runs, scaled on its own, from one image with one set of settings."""
    found = services()
    assert {tuple(found[role]["command"][:2]) for role in ROLES} == {("worker", role) for role in ROLES}
    assert set(found) == {"kafka", "clickhouse", *OURS}
    assert len({str(found[name]["environment"]) for name in OURS}) == 1
    for role in ROLES:
        assert (ROOT / "agents" / f"{role}.py").is_file() or (ROOT / "agents" / role / "role.py").is_file()


def test_workers_have_time_to_end_and_are_asked_for_their_health() -> None:
    """Compose waits longer than a worker needs; the image asks the worker's own page on the port that it sets."""
    found = services()
    for role in ROLES:
        assert found[role]["stop_grace_period"] == "30s"
        assert RELEASE_LIMIT_S + APP_LIMIT_S < 30
        assert "healthcheck" not in found[role]
    text = DOCKERFILE.read_text(encoding="utf-8")
    (port,) = re.findall(r"EVENPOST_WORKER__HTTP_PORT=(\d+)", text)
    assert f"http://127.0.0.1:{port}/readyz" in next(rest for name, rest in instructions() if name == "HEALTHCHECK")


def test_a_single_worker_keeps_its_name() -> None:
    """Where one is enough, its name is fixed; where they scale, it is the container's, and a stop leaves the group."""
    found = services()
    named = {role: found[role]["command"][2:] for role in ROLES}
    assert named == {
        "gate": [],
        "sender": [],
        **{role: ["--member", f"{role}-0"] for role in ("feedback", "control", "warehouse")},
    }
    for role, name in named.items():
        assert found[role].get("stop_signal") == (None if name else SCALE_IN_SIGNAL.name)


def test_kafka_and_clickhouse_are_healthy_before_they_are_used() -> None:
    """Topics wait for the broker, workers for the topics, the warehouse for ClickHouse too."""
    found = services()
    assert found["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for role in ROLES:
        assert found[role]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}
    assert found["warehouse"]["depends_on"]["clickhouse"] == {"condition": "service_healthy"}
    assert all("test" in found[name]["healthcheck"] for name in ("kafka", "clickhouse"))


def test_only_loopback_is_published() -> None:
    """Neither Kafka nor ClickHouse answers the outside."""
    for name, service in services().items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name


def test_the_image_runs_the_locked_program_without_rights() -> None:
    """Hashed lock, a user that isn't root, the program as entry point, and every file copied exists."""
    found = instructions()
    assert [rest.split()[0] for name, rest in found if name == "FROM"] == ["python:3.11-slim"] * 2
    assert any(name == "RUN" and "--require-hashes" in rest for name, rest in found)
    assert [rest for name, rest in found if name == "USER"] == ["evenpost"]
    assert found[-2:] == [("ENTRYPOINT", '["evenpost"]'), ("CMD", '["--help"]')]
    for name, rest in found:
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _ = shlex.split(rest)
            assert all((ROOT / source).exists() for source in sources)
