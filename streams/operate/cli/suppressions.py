"""`evenpost suppressions`: who gets no mail."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say

app = typer.Typer(no_args_is_help=True)

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="Such as taro@docomo.example.")]
ScopeOption = Annotated[str, typer.Option("--scope", help="global, or tenant:ID.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="hard_bounce, complaint, unsubscribe or manual.")]
ChannelOption = Annotated[str, typer.Option("--channel", help="mail, push or line.")]
SourceOption = Annotated[str, typer.Option("--source", help="Who says so; it is kept with the entry.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="RFC 3339 time at which it ends by itself.")]


@app.callback()
def suppressions() -> None:
    """Who gets no mail.

    Example: evenpost suppressions check taro@docomo.example
    """


@app.command()
def add(
    address: AddressArgument,
    *,
    scope: ScopeOption = "global",
    reason: ReasonOption = "manual",
    channel: ChannelOption = "mail",
    source: SourceOption = "cli",
    until: UntilOption = None,
    json: JsonFlag = False,
) -> None:
    """Ask that an address gets no mail; also what waits for it stays.

    Example: evenpost suppressions add taro@docomo.example --scope tenant:acme --reason unsubscribe
    """
    _request("add", address, json=json, scope=scope, reason=reason, channel=channel, source=source, until=until)


@app.command()
def lift(
    address: AddressArgument,
    *,
    scope: ScopeOption = "global",
    reason: ReasonOption = "manual",
    channel: ChannelOption = "mail",
    source: SourceOption = "cli",
    json: JsonFlag = False,
) -> None:
    """Ask that one entry ends: the one of this scope and reason.

    Example: evenpost suppressions lift taro@docomo.example --scope tenant:acme --reason unsubscribe
    """
    _request("lift", address, json=json, scope=scope, reason=reason, channel=channel, source=source, until=None)


def _request(action: str, address: str, *, json: bool, **fields: Any) -> None:
    from schemas.topics import SUPPRESSION_REQUESTS
    from streams.operate.errors import UsageFault
    from streams.operate.suppression_admin import request
    from streams.runtime.cluster import Publisher

    try:
        asked = request(fields | {"action": action, "address": address, "at": datetime.now(UTC)})
    except ValueError as error:
        raise UsageFault(str(error)) from None
    with Publisher(cluster()) as publisher:
        publisher.send(SUPPRESSION_REQUESTS, asked.scope, asked)
    if json:
        print_json({"action": action, "scope": asked.scope, "reason": asked.reason, "channel": asked.channel})
    else:
        say(f"asked to {action} {asked.reason} in {asked.scope}; `evenpost suppressions check` shows it once it stands")


@app.command()
def check(address: AddressArgument, *, channel: ChannelOption = "mail", json: JsonFlag = False) -> None:
    """Show each entry that stands against an address now.

    Example: evenpost suppressions check taro@docomo.example --json
    """
    from streams.operate.suppression_admin import standing

    address_id, entries = standing(cluster(), address, channel=channel, now=datetime.now(UTC))
    if json:
        print_json({"address_id": address_id, "suppressed": bool(entries), "entries": entries})
        return
    if not entries:
        say(f"nothing stands against it (address_id {address_id})")
        return
    print_table(
        ("scope", "reason", "source", "at", "until"),
        ((entry.scope, entry.reason, entry.source, entry.at, entry.until) for entry in entries),
        title=f"address_id {address_id}",
    )


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="Column address; also scope, reason, until, source.")
    ],
    *,
    scope: ScopeOption = "global",
    reason: ReasonOption = "manual",
    channel: ChannelOption = "mail",
    source: SourceOption = "cli",
    encoding: Annotated[str, typer.Option("--encoding", help="auto, utf-8, cp932, or another name.")] = "auto",
    bad: Annotated[Path | None, typer.Option("--bad", metavar="FILE", help="CSV to write all bad rows to.")] = None,
    json: JsonFlag = False,
) -> None:
    """Add an entry for each row; a row's own scope, reason and until come before the options.

    Example: evenpost suppressions import unsubscribed.csv --scope tenant:acme --reason unsubscribe
    """
    from schemas.topics import SUPPRESSION_REQUESTS
    from streams.operate.cli.loading_bar import bar, report
    from streams.operate.csv_rows import Row
    from streams.operate.loading import load_rows, open_rows
    from streams.operate.suppression_admin import check_columns, row_request
    from streams.runtime.cluster import Publisher

    rows = open_rows(file, encoding)
    check_columns(rows.columns)
    defaults = {
        "action": "add", "scope": scope, "reason": reason, "channel": channel, "source": source, "at": datetime.now(UTC)
    }  # fmt: skip
    with Publisher(cluster()) as publisher, bar(f"importing {file.name}") as progress:

        def take(row: Row) -> None:
            asked = row_request(row, defaults)
            publisher.send(SUPPRESSION_REQUESTS, asked.scope, asked)

        loaded = load_rows(rows, take, bad_file=bad, progress=progress)
    report(loaded, json=json, what="asked for")
