"""`evenpost member`: the workers of this machine, how each is, and an orderly end for one."""

from typing import Annotated

import typer

from streams.operate.cli.terminal import JsonFlag, print_json, print_table, say, settings
from streams.runtime.life.stopping import How

app = typer.Typer(no_args_is_help=True)


@app.callback()
def member() -> None:
    """The workers of this machine: how each is, and an end for one.

    Example: evenpost member list
    """


@app.command("list")
def list_(*, json_: JsonFlag = False) -> None:
    """Every worker on this data directory: state, partitions, and where it answers for its health.

    Example: evenpost member list
    """
    from msgspec import to_builtins

    from streams.operate.members import look

    found = look(settings())
    if json_:
        print_json([to_builtins(one) for one in found])
        return
    print_table(
        ("member", "role", "pid", "state", "partitions", "health"),
        [(one.member, one.role, one.pid, one.state, _ranges(one.partitions), one.health) for one in found],
        whole=("health",),
    )


@app.command()
def stop(
    name: Annotated[str, typer.Argument(metavar="MEMBER", help="Its name, as `evenpost member list` has it.")],
    *,
    how: Annotated[
        str, typer.Option("--how", help="restart: it keeps its partitions; scale-in: they move at once.")
    ] = "restart",
    json_: JsonFlag = False,
) -> None:
    """End one worker in order and wait for it; what is past MAIL FROM is finished first.

    Example: evenpost member stop gate-1 --how scale-in
    """
    from streams.operate.errors import UsageFault
    from streams.operate.members import stop as end

    asked: How
    match how:
        case "restart" | "scale-in":
            asked = how
        case _:
            raise UsageFault(f"--how {how!r}: restart or scale-in")
    pid = end(settings(), name, how=asked)
    if json_:
        print_json({"member": name, "pid": pid, "how": asked})
        return
    left = "its partitions moved" if asked == "scale-in" else "its partitions wait for it"
    say(f"{name} (pid {pid}) ended; {left}")


def _ranges(partitions: tuple[int, ...]) -> str:
    """`0-3,7`: 64 slots fit in a cell."""
    spans: list[list[int]] = []
    for one in sorted(partitions):
        if spans and spans[-1][1] == one - 1:
            spans[-1][1] = one
        else:
            spans.append([one, one])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)
