"""What an acceptance run leaves behind: docs/acceptance/<name>.json, with commit, seed, machine and duration."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

FOLDER: Final = Path(__file__).parents[2] / "docs" / "acceptance"
# The scenarios draw nothing at random; what is random in the product (retries' jitter) is its own.
SEED: Final = 0


def recorded(name: str, scenario: Callable[[], dict[str, Any]]) -> None:
    """Run a scenario and write what it showed; a failure is written too, and raised."""
    started, at = time.monotonic(), datetime.now(UTC)
    result: dict[str, Any] = {"ok": False}
    try:
        result = {"ok": True, "figures": scenario()}
    except BaseException as error:
        result["error"] = str(error)[:2_000]
        raise
    finally:
        document = {
            "name": name,
            **result,
            "commit": _commit(),
            "seed": SEED,
            "machine": _machine(),
            "at": at.isoformat(timespec="seconds"),
            "duration_s": round(time.monotonic() - started, 1),
        }
        FOLDER.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, ensure_ascii=False, indent=2, default=dict)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _commit() -> str:
    """The commit, and whether the tree differs from it in more than results."""
    commit = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/acceptance")
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=FOLDER.parents[1], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
