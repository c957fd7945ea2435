"""A worker that starts while its cluster is down or starting waits: a line in the log now and then, no traceback.

Orchestrators start everything at once, and a broker takes longer than a worker.  `wait_for_cluster` asks until a broker
answers and the declared topics are there; past its limit the worker ends with UNREACHABLE_EXIT and one line that says
what to do.
"""

import time
from typing import Final

from schemas.topics import TOPICS
from streams.runtime.cluster import missing_topics
from streams.runtime.errors import ClusterUnreachableError, TopicMissingError
from streams.runtime.life.waiting import LIMIT_S, Waiting
from streams.runtime.settings import Settings

_ASK_EVERY_S: Final = 1.0


def wait_for_cluster(settings: Settings, *, limit_s: float = LIMIT_S) -> None:
    """Wait until a broker answers and has the declared topics.  Raises ClusterUnreachableError, TopicMissingError."""
    waiting = Waiting(limit_s)
    while True:
        try:
            missing = missing_topics(settings, TOPICS)
            if not missing:
                return
            raise TopicMissingError(missing[0])  # noqa: TRY301  # the same wait as for a broker
        except (ClusterUnreachableError, TopicMissingError) as error:
            if waiting.lost(error):
                raise
        time.sleep(_ASK_EVERY_S)
