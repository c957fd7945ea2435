"""An SMTP server whose answers the recipient's address chooses, with DNS beside it and a log that can be trusted.

`evenpost simulate-smtp` and `python -m streams.operate.simulator` run it; demos and tests use it as their recipient and
as their independent oracle.

- `outcomes`: which address gets which answer (the table)   `session`, `commands`, `message`: SMTP without I/O
- `server`: the sockets   `dns`: MX, addresses and DKIM keys   `log`: what was accepted and refused
- `doors`: receivers that take so much a second from each client, or nothing from one of them
- `connections`: a log of connections, each at its end   `service`: all of it as one process
"""

from streams.operate.simulator.connections import Ended, read_connections
from streams.operate.simulator.errors import SimulatorError
from streams.operate.simulator.log import Entry, read_log
from streams.operate.simulator.service import Listening, listening, run, serve
from streams.operate.simulator.settings import SimulatorSettings

__all__ = [
    "Ended",
    "Entry",
    "Listening",
    "SimulatorError",
    "SimulatorSettings",
    "listening",
    "read_connections",
    "read_log",
    "run",
    "serve",
]
