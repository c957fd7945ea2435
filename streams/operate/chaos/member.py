"""`python -m streams.operate.chaos.member --member NAME`: one worker of a chaos run, settings by environment."""

import argparse

import structlog

from streams.operate.chaos import plain, worker
from streams.operate.chaos.events import DEALING, PLAIN
from streams.runtime import logs
from streams.runtime.settings import Settings


def main() -> None:
    """Run the kind of worker that its name says."""
    parser = argparse.ArgumentParser(prog="python -m streams.operate.chaos.member")
    parser.add_argument("--member", required=True)
    member: str = parser.parse_args().member
    settings = Settings()
    logs.configure(settings.log_level)
    structlog.contextvars.bind_contextvars(member=member)
    {DEALING: worker.run, PLAIN: plain.run}[member.rpartition("-")[0]](settings, member)


if __name__ == "__main__":
    main()
