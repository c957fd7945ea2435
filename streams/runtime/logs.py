"""Structured logs on stderr: one line an event, no addresses, no secrets.

A worker's lines name its member, whichever thread they come from: the name is the process's, not a context's.
"""

import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from typing import Any

import structlog

# What looks like a mail address is masked wherever it comes from: a library's exception may carry one.
_ADDRESS = re.compile(r"[^\s<>\"'=:,;(\[{]+@[^\s<>\"',;)\]}]+")


def mask(text: str) -> str:
    """The text with every mail address replaced."""
    return _ADDRESS.sub("<address>", text)


def _mask_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        # The renderer would make text of whatever it is: an exception or a list may hold an address as well.
        if not isinstance(value, int | float | None) and "@" in (text := str(value)):
            event[name] = mask(text)
    return event


def configure(level: str, *, member: str | None = None) -> None:
    """Set up structlog, and libraries' logging behind it; `member` is a worker's name."""

    def named(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if member is not None:
            event.setdefault("member", member)
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        named,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.LogfmtRenderer(sort_keys=False, key_order=["timestamp", "level"])],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    of_member = "" if member is None else f" member={member}"
    handler.setFormatter(
        _MaskingFormatter(f"timestamp=%(asctime)s level=%(levelname)s logger=%(name)s event=%(message)r{of_member}")
    )
    logging.basicConfig(level=max(logging.WARNING, getattr(logging, level)), handlers=[handler], force=True)
    threading.excepthook = _thread_ended


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    """One line, as for all else: Python would write a traceback, with whatever address is in it.

    It is a library's thread that is stopped while the brokers are away; who waits for one of ours sees its end.
    """
    error = f"{ended.exc_type.__name__}: {ended.exc_value}"
    structlog.get_logger(__name__).error("a thread ended", thread=ended.thread and ended.thread.name, error=error)


class _MaskingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))
