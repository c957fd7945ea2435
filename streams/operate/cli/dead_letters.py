"""`evenpost dead-letters`: events too broken to become an outcome."""

from typing import Annotated

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say

app = typer.Typer(no_args_is_help=True)


@app.callback()
def dead_letters() -> None:
    """Events that could not be read.

    Example: evenpost dead-letters list
    """


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many, newest first.")] = 20,
    json: JsonFlag = False,
) -> None:
    """The newest dead letters: reason, where the event stood, its first bytes with addresses masked.

    Example: evenpost dead-letters list --limit 5
    """
    from streams.operate.dead_letter_list import newest

    found = newest(cluster(), limit)
    if json:
        print_json(found)
        return
    if not found:
        say("no dead letters")
        return
    print_table(
        ("at", "reason", "topic", "partition", "offset", "bytes", "start"),
        (tuple(one.values()) for one in found),
    )
