"""What stands beside a lane's committed offset in the sender's group: `CHECKPOINT/BEGUN/OPEN`.

The committed offset is that of the oldest send that is not at its end: one receiver that takes minutes holds it back,
while thousands behind it have gone.  So the commit also says how far the lane was begun (the next offset to begin) and
how many of those are open still: what waits in the slot is what lies behind BEGUN, and OPEN more.  CHECKPOINT is the
offset of the journal's checkpoint that was committed with it.
"""

import re
from typing import Final, Self

import msgspec

_NOTE: Final = re.compile(r"([0-9]{1,19})(?:/([0-9]{1,19})/([0-9]{1,9}))?")


class LaneNote(msgspec.Struct, frozen=True, kw_only=True):
    """One lane's.  `begun` and `open` are None in what was committed before they were told."""

    checkpoint: int
    begun: int | None = None
    open: int | None = None

    @classmethod
    def read(cls, metadata: str) -> Self | None:
        """As committed; None where it is not ours (nothing committed, or an operator's reset)."""
        found = _NOTE.fullmatch(metadata)
        if found is None:
            return None
        checkpoint, begun, still_open = found.groups()
        return cls(
            checkpoint=int(checkpoint),
            begun=None if begun is None else int(begun),
            open=None if still_open is None else int(still_open),
        )


def progress_note(begun: int, still_open: int) -> str:
    """What follows the checkpoint's offset."""
    return f"/{begun}/{still_open}"
