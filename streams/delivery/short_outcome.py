"""An outcome that no broker takes, made short: what is left of it when the send itself does not fit into a record.

A send that comes back is written into the journal and the returns with all that it carries; one that nearly fills a
record of its own may not fit there.  Short, an outcome is still the send's one end, under the same event id where it
was final: no send comes back, and a receiver's words are cut.
"""

from datetime import datetime
from typing import Final

import msgspec

from schemas.events import Outcome, Rule, Send
from streams.delivery import outcomes
from streams.delivery.outcomes import OutcomeSettings

# The start of a receiver's answer tells what it is: code, enhanced code, a few words.
MAX_REPLY: Final = 200
CLASS: Final = "record_refused"


def shortened(outcome: Outcome, send: Send, refusal: str, now: datetime, settings: OutcomeSettings) -> Outcome:
    """The same end in few bytes; what would have come back ends here, as `rejected` (`uncertain`, if in doubt)."""
    if not outcome.delivery.final:
        rule = Rule(rule=CLASS, value=refusal[:MAX_REPLY], limit="a send that fits into a record")
        tried = send if outcome.returned is None else outcome.returned.send
        outcome = outcomes.refused(tried, CLASS, rule, now, settings)
    delivery = msgspec.structs.replace(outcome.delivery, reply=outcome.delivery.reply[:MAX_REPLY])
    return msgspec.structs.replace(outcome, delivery=delivery, returned=None)
