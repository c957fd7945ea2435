"""One blow as it was: to whom, when, and what the operating system said of its connections."""

from typing import Literal

import msgspec

Kind = Literal["kill", "stop", "broker"]
Socket = tuple[str, int]  # the sender's local address and port


class Blow(msgspec.Struct, frozen=True, kw_only=True):
    """`at` and `until` in epoch seconds: from the blow to the moment when what was struck was started or continued.

    `open`: the connections of a stopped process, as the operating system showed them meanwhile (of a killed one the
    receiver tells).  `replaced`: others sent from its IPs meanwhile.  `send_id`: the send at whose point the process
    died, by its own last word.
    """

    number: int
    kind: Kind
    point: str  # a kill's; else empty
    member: str
    at: float
    until: float
    send_id: str = ""
    open: frozenset[Socket] = frozenset()
    replaced: bool = False
    missed: str = ""  # why it could not be done

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.kind} {self.number} ({self.member}{f', {self.point}' if self.point else ''})"
