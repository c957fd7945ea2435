"""Faust's transport, put right: who owns what, what may be committed, and when.

`assignor` co-assigns topics of one width · `ledger` knows which offsets are done · `consumer` and its thread commit
nothing else · `draining` hands records over and `rewinding` goes back to those it could not · `resuming` waits for what
an assignment begins at · `raw` leaves records as bytes, `header_keys` even where they are no text · `membership`,
`static_member`, `leaving` and `holder` speak with the group · `patience` spares a broker that is away · `producer` is
Faust's, on librdkafka.
FAUST.md lists what stock Faust does instead; each override names its number.
"""

from streams.runtime.transport.consumer import EvenpostTransport
from streams.runtime.transport.ledger import Ledger

__all__ = ["EvenpostTransport", "Ledger"]
