"""`evenpost egress`: the sending IPs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.operate.cli import egress_life, egress_warmup
from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say

app = typer.Typer(no_args_is_help=True)


@app.callback()
def egress() -> None:
    """The sending IPs.

    Example: evenpost egress list
    """


@app.command("list")
def list_(*, json: JsonFlag = False) -> None:
    """Each slot: its pool, how it reaches the world, its weight, what state it is in and how far its warm-up is.

    Example: evenpost egress list --json
    """
    from streams.operate import egress_life as life

    found = life.overview(cluster(), datetime.now(UTC))
    if json:
        print_json(found)
        return
    columns = ("slot", "pool", "via", "ehlo", "weight", "state", "warm-up")
    rows = (
        (one["slot"], one["pool"], one["way"], one["ehlo"], one["weight"], one["words"], one["warming"])
        for one in found
    )
    print_table(columns, rows, blocks=True)


@app.command("set")
def set_(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE.toml]", help="[[egress]] tables, one a slot.")] = None,
    *,
    slot: Annotated[int | None, typer.Option("--slot", help="One slot by options; what isn't given stays.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Local address to send from.")] = None,
    smarthost: Annotated[str | None, typer.Option("--smarthost", metavar="HOST:PORT", help="Send through it.")] = None,
    ehlo: Annotated[str | None, typer.Option("--ehlo", help="The IP's own name.")] = None,
    pool: Annotated[str | None, typer.Option("--pool", help="Pool that it belongs to.")] = None,
    weight: Annotated[float | None, typer.Option("--weight", help="Relative share; 0 takes no new mail.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="active, drained, suspended or spare.")] = None,
    json: JsonFlag = False,
) -> None:
    """Set slots from a file, or one by options.

    Example: evenpost egress set --slot 0 --address 127.0.0.2 --ehlo m0.mail.example
    """
    from schemas.topics import EGRESS
    from streams.operate.documents import read_egress
    from streams.operate.egress_admin import changed_slot
    from streams.operate.errors import UsageFault
    from streams.runtime.cluster import Publisher, read_world

    changes: dict[str, Any] = {"ehlo": ehlo, "pool": pool, "weight": weight, "state": state}
    given = any(value is not None for value in (slot, address, smarthost, *changes.values()))
    if (file is None) != given:
        raise UsageFault("give either FILE.toml or --slot with its options")
    slots = read_egress(file) if file is not None else []
    settings = cluster()
    if file is None:
        if slot is None:
            raise UsageFault("--slot is missing: which one is meant?")
        old = read_world(settings, EGRESS).egress.get(str(slot))
        slots = [changed_slot(slot, old, changes, address=address, smarthost=smarthost)]
    for one in slots:
        if one.slot >= settings.kafka.slots:
            raise UsageFault(f"slot {one.slot}: expected less than kafka.slots = {settings.kafka.slots}")
    with Publisher(settings) as publisher:
        for one in slots:
            publisher.send(EGRESS, str(one.slot), one)
    if json:
        print_json(slots)
    else:
        say(f"{len(slots)} slot(s) set: {', '.join(str(one.slot) for one in slots)}")


egress_life.register(app)
egress_warmup.register(app)
