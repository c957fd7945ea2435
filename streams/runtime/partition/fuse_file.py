"""A fuse that remembers across starts, by a small file beside the worker's local state.

Whoever starts a worker again starts it soon: `evenpost up` within 30 s, a container's runtime within a minute, or at
once where the worker lived for ten seconds.  A fuse that began anew each time would allow ten letters each time: 15 a
minute, 20,000 a day, and a topic is empty on Monday.  So what the former fuse had weighed counts for the next one as
well, for KEPT_S after its last letter: where all fails, ten letters an hour, however often the worker is started.

It is written before the letters it counts are committed: a kill in between counts some that never were.  Where the
folder is lost with the worker, or can't be written, the fuse begins anew, as said.
"""

import time
from pathlib import Path
from typing import Final

import msgspec
import structlog

from streams.runtime.partition.fuse import Fuse

log = structlog.get_logger(__name__)

# An hour: a bad deploy that nobody sees makes 240 letters a day, and an event that alone blew a fuse that was all but
# blown waits no longer than that.
KEPT_S: Final = 3_600.0


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the latest events failed, and when (seconds since 1970) the last of them was weighed."""

    at: float
    events: int
    failed: int


def fuse_kept_in(path: Path, share: float) -> Fuse:
    """A fuse that goes on from what this file says, and keeps it up to date."""

    def remember(events: int, failed: int) -> None:
        fresh = path.with_name(f"{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.encode(Weighed(at=time.time(), events=events, failed=failed)))
            fresh.replace(path)
        except OSError as error:  # a full disk ends the worker elsewhere, with its own words
            log.warning("the fuse can't be remembered", path=str(path), error=error.strerror)

    before = _read(path)
    return Fuse(share, remember=remember, events=before.events, failed=before.failed)


def _read(path: Path) -> Weighed:
    nothing = Weighed(at=0.0, events=0, failed=0)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Weighed)
    except (OSError, msgspec.MsgspecError):  # never written, or not by us
        return nothing
    age = time.time() - found.at
    return found if 0 <= age < KEPT_S and 0 <= found.failed <= found.events else nothing
