"""`python -m streams.operate.chaos.runtime.member --member NAME`: one worker of a chaos run, settings by environment.

It begins as a worker of the product does (agents/__main__.py): the name held on this machine, a broker waited for, the
name free in the group.
"""

import argparse

import structlog

from streams.operate.chaos.runtime import plain, worker
from streams.operate.chaos.runtime.events import DEALING, PLAIN
from streams.runtime import logs
from streams.runtime.life import member_name
from streams.runtime.life.reaching import wait_for_cluster
from streams.runtime.settings import Settings


def main() -> None:
    """Run the kind of worker that its name says."""
    parser = argparse.ArgumentParser(prog="python -m streams.operate.chaos.runtime.member")
    parser.add_argument("--member", required=True)
    member: str = parser.parse_args().member
    kind = member.rpartition("-")[0]
    settings = Settings()
    logs.configure(settings.log_level)
    structlog.contextvars.bind_contextvars(member=member)
    with member_name.held(settings, member):
        wait_for_cluster(settings)
        member_name.wait_until_free(settings, kind, member)
        {DEALING: worker.run, PLAIN: plain.run}[kind](settings, member)


if __name__ == "__main__":
    main()
