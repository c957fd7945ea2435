"""`evenpost recipients`: who gets a campaign, from CSV."""

from pathlib import Path
from typing import Annotated

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, say

app = typer.Typer(no_args_is_help=True)


@app.callback()
def recipients() -> None:
    """Who gets a campaign.

    Example: evenpost recipients load acme:autumn people.csv
    """


@app.command()
def load(
    campaign: Annotated[str, typer.Argument(metavar="TENANT:CAMPAIGN", help="Such as acme:autumn.")],
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="First line = column names.")],
    *,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=FIELD",
            help="Field: recipient_id, address, timezone, dedup_key, or a variable's name.",
        ),
    ] = None,
    encoding: Annotated[str, typer.Option("--encoding", help="auto, utf-8, cp932, or another name.")] = "auto",
    bad: Annotated[Path | None, typer.Option("--bad", metavar="FILE", help="CSV to write all bad rows to.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file; send nothing.")] = False,
    json: JsonFlag = False,
) -> None:
    """Load recipients of a campaign: one event a row; loading the same file again sends no second mail.

    Columns called recipient_id (or id) and address (or email) are those fields; every column that is no field is
    a variable of the template; a variable that no column gives is warned of. Good rows are loaded also when others
    are bad; then the exit code is 1.

    Example: evenpost recipients load acme:autumn people.csv --map customer=recipient_id --bad bad.csv
    """
    from schemas import ids
    from schemas.topics import CAMPAIGNS, RECIPIENTS_MARKETING, RECIPIENTS_TRANSACTIONAL
    from streams.operate.campaign_admin import known_campaign
    from streams.operate.cli.loading_bar import bar, report
    from streams.operate.csv_rows import Row
    from streams.operate.loading import load_rows, open_rows
    from streams.operate.recipient_rows import assign_columns, build_recipient, missing_variables, parse_mapping
    from streams.runtime.cluster import Publisher, read_world

    rows = open_rows(file, encoding)
    assigned = assign_columns(rows.columns, parse_mapping(mapping or ()))
    settings = cluster()
    known = known_campaign(read_world(settings, CAMPAIGNS), campaign)
    missing = missing_variables(known, assigned)
    if missing:
        names = ", ".join(missing)
        say(f"warning: no column gives {names}, which the templates use: it will be blank; see --map", style="yellow")
    topic = RECIPIENTS_MARKETING if known.kind == "marketing" else RECIPIENTS_TRANSACTIONAL
    with Publisher(settings) as publisher, bar(f"loading {file.name}") as progress:

        def take(row: Row) -> None:
            recipient = build_recipient(row, assigned, known)
            if not dry_run:
                publisher.send(topic, ids.person_key(recipient.tenant, recipient.recipient_id), recipient)

        loaded = load_rows(rows, take, bad_file=bad, progress=progress)
    what = "are good, nothing was sent" if dry_run else f"loaded into {settings.topic(topic.name)}"
    more = {"campaign": campaign, "topic": settings.topic(topic.name), "dry_run": dry_run, "missing_variables": missing}
    report(loaded, json=json, what=what, **more)
