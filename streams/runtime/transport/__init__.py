"""Faust's transport, put right: who owns what, what may be committed, and when.

`assignor` co-assigns topics of one width · `ledger` knows which offsets are done · `consumer` commits nothing else.
FAUST.md lists what stock Faust does instead; each override names its number.
"""

from streams.runtime.transport.consumer import EvenpostTransport
from streams.runtime.transport.ledger import Ledger

__all__ = ["EvenpostTransport", "Ledger"]
