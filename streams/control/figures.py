"""Six figures of one span or day, and where each stands in a row of numbers."""

from typing import Final, NamedTuple

ATTEMPTS: Final = 0
ACCEPTED: Final = 1
BOUNCED: Final = 2
DEFERRED: Final = 3
COMPLAINED: Final = 4
DEAD: Final = 5
WIDTH: Final = 6


class Figures(NamedTuple):
    """Deliveries by type; `dead`: bounces, late ones as well, that say that the address is dead."""

    attempts: int = 0
    accepted: int = 0
    bounced: int = 0
    deferred: int = 0
    complained: int = 0
    dead: int = 0
