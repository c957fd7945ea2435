"""When to try a refused message again: a schedule by the refusal's class, from retry.toml.

`next_due` is pure: clock and randomness come from the caller, and so does the scale that tests and the demo use.
"""

import tomllib
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Final

# The schedule of what is refused for its IP's sake, and dealt anew.
IP_REFUSED: Final = "ip_refused"
# Retries of a burst would come back as a burst; up to a quarter later each spreads them without changing the order
# of magnitude that the schedule promises.
JITTER_SHARE: Final = 0.25


def next_due(
    class_: str, *, attempt: int, now: datetime, expire_at: datetime, jitter: float, scale: float
) -> datetime | None:
    """When to try again after transaction number `attempt` (from 1) ended softly; None = too late, it expires.

    `jitter` is in [0, 1); `scale` multiplies the delay.
    """
    if attempt < 1 or not 0 <= jitter < 1 or scale <= 0:
        raise ValueError(f"attempt {attempt} must be >= 1, jitter {jitter} in [0, 1), scale {scale} > 0")
    delays = schedule(class_)
    delay_s = delays[min(attempt, len(delays)) - 1] * (1 + JITTER_SHARE * jitter) * scale
    left_s = (expire_at - now).total_seconds()
    return now + timedelta(seconds=delay_s) if delay_s <= left_s else None


def schedule(class_: str) -> tuple[float, ...]:
    """The class's delays in seconds; the last one repeats."""
    table = _table()
    return table.get(class_, table["default"])


@cache
def _table() -> dict[str, tuple[float, ...]]:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    found: dict[str, tuple[float, ...]] = {}
    for entry in tomllib.loads(resources.files(__package__).joinpath("retry.toml").read_text("utf-8"))["schedule"]:
        delays = tuple(float(text[:-1]) * units[text[-1]] for text in entry["after"])
        for name in entry["classes"]:
            if name in found or not delays or min(delays) <= 0:
                raise ValueError(f"retry.toml: the schedule of {name!r} must stand once, with delays above 0")
            found[name] = delays
    return found
