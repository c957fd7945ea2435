"""`evenpost up`, `worker` and `simulate-smtp`: the commands that stay until they are told to end."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from streams.operate.cli.terminal import cluster, settings

# A member's name is part of file names and of Kafka's client ids.
_MEMBER: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command()(up)
    app.command()(worker)
    app.command("simulate-smtp")(simulate_smtp)


def up(
    *,
    gates: Annotated[int, typer.Option("--gates", min=1, max=64, help="Gate processes.")] = 1,
    senders: Annotated[int, typer.Option("--senders", min=1, max=64, help="Sender processes.")] = 1,
    ready_file: Annotated[
        Path | None, typer.Option("--ready-file", metavar="PATH", help="JSON written once every role is ready.")
    ] = None,
) -> None:
    """Run everything on this machine: Kafka unless kafka.bootstrap is set, and every role; Ctrl-C ends it in order.

    Example: evenpost up --senders 2 --ready-file /tmp/evenpost.json
    """
    from streams.operate.cli.screen import run_fleet

    run_fleet(gates=gates, senders=senders, ready_file=ready_file)


def worker(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="gate, sender, feedback, control or warehouse.")],
    *,
    member: Annotated[
        str | None, typer.Option("--member", help="Its name, the same at each start; ROLE-HOSTNAME by default.")
    ] = None,
) -> None:
    """Run one role in this process: how production runs it, each role scaled on its own.

    Example: evenpost worker sender --member sender-3
    """
    from streams.operate.errors import UsageFault
    from streams.operate.settings_files import check
    from streams.operate.up import ROLES, WORKER
    from streams.runtime.life import member_name

    if role not in ROLES:
        raise UsageFault(f"no role {role!r}: there are {', '.join(ROLES)}")
    name = member or member_name.default(role)
    if not _MEMBER.fullmatch(name):
        raise UsageFault(f"--member {name!r}: letters, digits, '.', '_' and '-', at most 100")
    check(settings(), (role,))
    now = cluster()
    os.environ["EVENPOST_KAFKA__BOOTSTRAP"] = str(now.kafka.bootstrap)
    # The imports go one way: streams starts agents by name, never by import.
    os.execv(sys.executable, [*WORKER, role, "--member", name])  # noqa: S606  # no shell is wanted


def simulate_smtp(
    *,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="SMTP port; 0 = a free one.")] = 2525,
    dns_port: Annotated[
        int, typer.Option("--dns-port", min=-1, max=65535, help="DNS port; 0 = a free one, -1 = no DNS.")
    ] = 5353,
    log: Annotated[Path, typer.Option("--log", metavar="FILE", help="All it accepted and refused, appended.")] = Path(
        "simulator.jsonl"
    ),
    slow: Annotated[float, typer.Option("--slow", help="Seconds that `slow` addresses take.")] = 0.3,
    pace: Annotated[
        list[str] | None,
        typer.Option(metavar="DOMAIN=RATE", help="451 above so many recipients a second from a client; or LOW..HIGH."),
    ] = None,
    block: Annotated[
        list[str] | None, typer.Option(metavar="DOMAIN=CLIENT", help="450 for this address or EHLO name.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the rates.")] = 0,
    keep_every: Annotated[int, typer.Option("--keep-every", min=0, help="Keep each K-th message whole; 0 = none.")] = 0,
    keep_dir: Annotated[Path, typer.Option("--keep-dir", metavar="DIR", help="Where, as <sha256>.eml.")] = Path(
        "simulator-kept"
    ),
    txt: Annotated[
        Path | None, typer.Option("--txt", metavar="FILE", help="JSON of TXT records, for DKIM keys.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option("--ready-file", metavar="PATH", help="JSON, once it listens.")
    ] = None,
) -> None:
    """Run an SMTP server whose answers the recipient's address chooses, with DNS beside it and a log of everything.

    Example: evenpost simulate-smtp --port 2525 --log simulator.jsonl
    """
    from streams.operate.errors import UsageFault
    from streams.operate.simulator import SimulatorError, SimulatorSettings, run

    try:
        chosen = SimulatorSettings(
            host=host, port=port, dns_port=None if dns_port < 0 else dns_port, log=log, slow_s=slow,
            pace=tuple(pace or ()), block=tuple(block or ()), seed=seed,
            keep_every=keep_every, keep_dir=keep_dir, txt=txt, ready_file=ready_file,
        )  # fmt: skip
    except SimulatorError as error:
        raise UsageFault(str(error)) from None
    raise typer.Exit(run(chosen))
