"""When a partition's next transaction may begin: at once where little comes, up to 50 ms later where much does.

Pure.  A transaction costs its producer, its broker and its readers the same whether it holds one event or five hundred
(about 11 ms, four requests).  So what the last one held says how long to gather: one event, and the next may begin as
soon as the last is through; five or more, and a window's worth is worth waiting for.  It is counted from the beginning
of the last transaction: who comes after a pause waits for nothing.
"""

from typing import Final

# DESIGN.md, choice 4: busy, an event waits 50 ms at most for its batch to begin.
WINDOW_S: Final = 0.05
# One event may follow another at once (a commit takes as long); from five on (450 events/s), the whole window.
PER_EVENT_S: Final = 0.01


def wait_s(*, since_last_s: float, last_events: int, waiting: int, full: int) -> float:
    """Seconds to gather before the next batch, 0 to WINDOW_S.

    `since_last_s` ago the last transaction began, with `last_events` in it; `waiting` events wait, of `full` at most.
    """
    if waiting >= full:
        return 0.0
    return max(0.0, min(WINDOW_S, last_events * PER_EVENT_S) - since_last_s)
