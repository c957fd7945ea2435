"""A program of its own: sends one message to the port it is given and says on stdout how far it came.

It is started by test_points.py, to die where `EVENPOST_KILL_AT` says, on the loop that senders run on.
"""

import os
import sys

import uvloop

from streams.delivery.connection import open_connection
from streams.delivery.routes import Target
from streams.delivery.smtp import deliver
from streams.runtime import logs
from streams.runtime.points import Points
from tests.delivery.builders import MESSAGE, RECIPIENT, SENDER, TLS, smtp_settings

SEND_ID = "5e" * 16


def tell(word: str) -> None:
    """Say it before anything else can happen."""
    os.write(1, f"{word}\n".encode())


class Telling:
    """A witness that tells what it hears."""

    send_id = SEND_ID

    def mail_goes(self, _: str) -> None:
        """The intent would be handed over here."""
        tell("mail")

    async def before_dot(self) -> None:
        """The intent would be durable after this."""
        tell("durable")


async def main(port: int) -> None:
    """Send it."""
    connection = await open_connection(
        Target(host="receiver.example", address="127.0.0.1", port=port),
        source=None,
        ehlo="m0.mail.example",
        via="127.0.0.1",
        settings=smtp_settings(),
        tls=TLS,
    )
    await deliver(connection, SENDER, RECIPIENT, MESSAGE, witness=Telling(), points=Points.from_environment())
    tell("told")


if __name__ == "__main__":
    logs.configure("WARNING")  # to stderr: stdout is what it tells
    uvloop.run(main(int(sys.argv[1])))
