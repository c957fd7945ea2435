"""`python -m agents ROLE [--member NAME]`: run one role's worker until SIGTERM."""

import argparse
import importlib
import sys

import setproctitle
import structlog

from streams.runtime import logs
from streams.runtime.cluster import check_reachable, resolve
from streams.runtime.settings import Settings

ROLES = ("gate", "sender", "feedback", "warehouse", "control")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m agents", description="Run one role of Evenpost.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--member", help="this worker's name, unique in its role (default: ROLE-0)")
    given = parser.parse_args()
    member = given.member or f"{given.role}-0"
    settings = Settings()
    logs.configure(settings.log_level)
    structlog.contextvars.bind_contextvars(member=member)
    setproctitle.setproctitle(f"evenpost {member}")
    try:
        settings = resolve(settings)
        check_reachable(settings)
    except Exception as error:  # noqa: BLE001  # whatever it is, the operator gets one line and a code, no traceback
        sys.exit(f"evenpost {member}: {error}")
    importlib.import_module(f"agents.{given.role}").run(settings, member)


if __name__ == "__main__":
    main()
