"""`evenpost sql`: a statement to the warehouse, as table, JSON or CSV."""

from typing import Annotated

import typer

from streams.operate.cli.terminal import JsonFlag, print_json, print_table, settings


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(sql)


def sql(
    statement: Annotated[str, typer.Argument(metavar="STATEMENT", help="One read-only statement, without FORMAT.")],
    *,
    json: JsonFlag = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")] = False,
) -> None:
    """Ask the warehouse; views: campaign_funnel, spread, conservation, reply_classes; table: deliveries.

    Example: evenpost sql "SELECT campaign_id, accepted, bounced FROM campaign_funnel"
    """
    import csv as csv_module
    import sys

    from streams.operate.errors import UsageFault
    from streams.runtime.cluster import sql_endpoint
    from streams.warehouse import query

    if json and csv:
        raise UsageFault("--json and --csv are both given: choose one")
    now = settings()
    table = query.run(sql_endpoint(now), statement, database=now.clickhouse.database)
    if json:
        print_json([dict(zip(table.columns, row, strict=True)) for row in table.rows])
    elif csv:
        writer = csv_module.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(table.rows)
    else:
        print_table(table.columns, table.rows, blocks=True)
