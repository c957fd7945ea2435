"""What a command that was run leaves running: found by an environment that only it and its children have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil


def environment(folder: Path) -> dict[str, str]:
    """An environment that names the folder: whoever has it was started by this test."""
    return os.environ | {"TMPDIR": str(folder)}


def left_by(folder: Path) -> list[str]:
    """Command lines of processes that live with that environment."""

    def found() -> Iterator[str]:
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TMPDIR") == str(folder):
                    yield " ".join(process.cmdline())
            except psutil.Error:
                continue

    return list(found())
