"""`python -m agents ROLE [--member NAME]`: run one role's worker until it is told to end.

In order: settings; the broker's address; the name held on this machine; health, which says from then on what is waited
for; a broker that answers; the name free in the group where another process had taken it; the role.
"""

import argparse
import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Final

import setproctitle

from streams.runtime import logs
from streams.runtime.cluster import resolve
from streams.runtime.errors import ClusterUnreachableError, MemberTakenError, TopicMissingError
from streams.runtime.life import beginning, member_name
from streams.runtime.life.reaching import wait_for_cluster
from streams.runtime.life.stopping import TAKEN_EXIT, UNREACHABLE_EXIT
from streams.runtime.settings import Settings

ROLES = ("gate", "sender", "feedback", "warehouse", "control")
_CODES: Final = {
    MemberTakenError: TAKEN_EXIT,
    ClusterUnreachableError: UNREACHABLE_EXIT,
    TopicMissingError: UNREACHABLE_EXIT,
}


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m agents", description="Run one role of Evenpost.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--member", help="this worker's name, unique in its role (default: ROLE-HOSTNAME)")
    given = parser.parse_args()
    role, member = given.role, given.member or member_name.default(given.role)
    settings = Settings()
    logs.configure(settings.log_level, member=member)
    setproctitle.setproctitle(f"evenpost {member}")
    with _one_line(member):
        settings = resolve(settings)
    with (
        _one_line(member),
        member_name.held(settings, member),
        beginning.begun(settings, role=role, member=member),
    ):
        beginning.waits_for("cluster", lambda: f"no answer from {settings.kafka.bootstrap}, or topics are missing")
        wait_for_cluster(settings)
        beginning.waits_for("name", lambda: "another process of the group has it")
        member_name.wait_until_free(settings, role, member)
        beginning.waits_for("program", lambda: "is being loaded")
        importlib.import_module(f"agents.{role}").run(settings, member)


@contextlib.contextmanager
def _one_line(member: str) -> Iterator[None]:
    """Whatever it is, the operator gets one line and a code, no traceback."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # as the docstring says; a role's own errors are told in `worker.run`
        sys.stderr.write(f"evenpost {member}: {str(error) or repr(error)}\n")
        sys.exit(_CODES.get(type(error), 1))


if __name__ == "__main__":
    main()
