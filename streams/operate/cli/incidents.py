"""`evenpost incidents`: what automation did and why, and an end to it before its time."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say

app = typer.Typer(invoke_without_command=True)


@app.callback()
def incidents(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many, newest first.")] = 20,
    rule: Annotated[str, typer.Option("--rule", help="Only this rule's, such as blocked-ip or surge.")] = "",
    standing: Annotated[bool, typer.Option("--standing", help="Only those whose control stands now.")] = False,
    json: JsonFlag = False,
) -> None:
    """What automation, surge detection and the tenants' fuse fired: newest first, with the evidence under --json.

    Example: evenpost incidents --standing
    """
    if context.invoked_subcommand is not None:
        return
    from streams.operate.incident_admin import SHORT, newest

    found = newest(cluster(), limit, datetime.now(UTC), rule=rule, only_standing=standing)
    if json:
        print_json(found)
        return
    if not found:
        say("no incidents" + (" whose control stands" if standing else ""))
        return
    columns = ["id", "at", "rule", "scope", "key", "action", "value", "limit", "until", "stands"]
    rows = [one | {"id": one["incident_id"][:SHORT]} for one in found]
    print_table(columns, ([row[name] for name in columns] for row in rows), blocks=True)


@app.command()
def lift(
    incident: Annotated[str, typer.Argument(metavar="ID", help="The incident's id, or how it begins.")],
    *,
    json: JsonFlag = False,
) -> None:
    """End what an incident set, before its time; its rule is quiet for that key as long as it would have stood.

    Example: evenpost incidents lift 9f0c6a3e51
    """
    from streams.operate.incident_admin import lift as end

    lifted = end(cluster(), incident)
    if json:
        print_json({"incident_id": lifted.incident_id, "lifted": True})
    else:
        say(f"lifted: {lifted.action} of {lifted.scope} {lifted.key} by {lifted.rule}")
