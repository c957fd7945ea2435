"""`evenpost egress warmup`: how far a new IP is known, and a warm-up's begin and end."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.operate.cli.egress_life import IpArgument
from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost egress`."""
    app.command()(warmup)


def warmup(
    ip: IpArgument,
    *,
    start: Annotated[bool, typer.Option("--start", help="Begin a warm-up now, anew if there was one.")] = False,
    end: Annotated[bool, typer.Option("--end", help="End it: no allowance any more.")] = False,
    initial: Annotated[
        int | None, typer.Option("--initial", min=1, max=10_000_000, help="Mails to each provider on day one; 50.")
    ] = None,
    factor: Annotated[
        float | None, typer.Option("--factor", min=1.01, max=10, help="Times this each good day; 1.5.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """What a warming IP may send to each provider today, and why; or begin or end its warm-up.

    Example: evenpost egress warmup 192.0.2.19 --start --initial 50 --factor 1.5
    """
    from schemas.events import Warmup
    from streams.operate import egress_life
    from streams.operate.errors import UsageFault

    if start and end:
        raise UsageFault("--start and --end are both given: which one is meant?")
    if (initial is not None or factor is not None) and not start:
        raise UsageFault("--initial and --factor are of a warm-up that begins: give --start")
    if start or end:
        default = Warmup(started_at=datetime.now(UTC))
        plan = Warmup(
            started_at=default.started_at,
            initial_per_day=initial or default.initial_per_day,
            factor=factor or default.factor,
        )
        found = egress_life.change_warmup(cluster(), ip, plan if start else None)
        if json:
            print_json(found)
        else:
            words = f"warms up from {plan.initial_per_day} a day, times {plan.factor:g} each good day"
            say(f"slot {found.slot} " + (words if start else "has no warm-up any more"))
        return
    egress, days = egress_life.warmup_days(cluster(), ip)
    if json:
        print_json({"slot": egress.slot, "warmup": egress.warmup, "providers": days})
    elif egress.warmup is None:
        say(f"slot {egress.slot} ({egress_life.way_out(egress)}) has no warm-up: no allowance, its whole weight")
    elif not days:
        say(f"slot {egress.slot} warms up since {egress.warmup.started_at:%Y-%m-%d}; control has not spoken yet")
    else:
        columns = ("provider", "day", "stage", "allowance", "weight", "reason")
        print_table(columns, ([one[name] for name in columns] for one in days))
