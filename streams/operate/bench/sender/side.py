"""The sender without its journal: `python -m streams.operate.bench.sender.side`, settings by the environment.

It begins as the product does (agents/__main__.py), and differs in one word.  Nothing but this bench may run it: what a
kill interrupts would be sent again.
"""

from agents.sender import Sender
from streams.operate.bench.sender.sides import MEMBER
from streams.runtime import logs
from streams.runtime.life import beginning, member_name, worker
from streams.runtime.settings import Settings


def main() -> None:
    """Serve until told to end."""
    settings = Settings()
    logs.configure(settings.log_level, member=MEMBER)
    with member_name.held(settings, MEMBER), beginning.begun(settings, role="sender", member=MEMBER):
        worker.run(lambda: Sender(settings, MEMBER, journals=False).main())


if __name__ == "__main__":
    main()
