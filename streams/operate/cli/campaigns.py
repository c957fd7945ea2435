"""`evenpost campaign`: submit one from TOML, see what became of it, pause, resume, cancel."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say

app = typer.Typer(no_args_is_help=True)

CampaignArgument = Annotated[str, typer.Argument(metavar="TENANT:CAMPAIGN", help="Such as acme:autumn.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept with the control.")]

# What `status` shows of the funnel where it is not zero; `--json` has all of it.
_SHOWN = ("accepted", "bounced", "expired", "suppressed", "capped", "duplicate", "waiting", "deferred")
_OTHERS = ("invalid", "rejected", "cancelled", "uncertain")


@app.callback()
def campaigns() -> None:
    """What to send, in whose name.

    Example: evenpost campaign submit autumn.toml
    """


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The campaign; html_file and text_file beside it.")],
    *,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait until it is compiled; 0 = not at all.")
    ] = 10.0,
    json: JsonFlag = False,
) -> None:
    """Submit a campaign, or a new version of it, and say whether it compiles.

    Exit code 1 when it is refused.

    Example: evenpost campaign submit autumn.toml
    """
    from streams.operate import campaign_admin
    from streams.operate.documents import read_campaign
    from streams.operate.errors import RefusedError

    campaign = read_campaign(file)
    name = f"{campaign.tenant}:{campaign.campaign_id}"
    settings = cluster()
    content = campaign_admin.submit(settings, campaign, wait_s=wait)
    if starved := campaign_admin.no_egress(settings, campaign.pool):
        say(f"warning: {name}: {starved}, so its mail waits; `evenpost egress set`, or another pool", style="yellow")
    if loose := campaign_admin.no_cap(settings, campaign):
        say(f"warning: {name}: {loose}, so no cap holds for it", style="yellow")
    if json:
        print_json(
            {
                "campaign": name,
                "state": "submitted" if content is None else content.state,
                "version": None if content is None else content.version,
                "reason": "" if content is None else content.reason,
            }
        )
    if content is None and wait > 0:
        say(f"{name} is submitted; no control worker compiled it within {wait:g} s. Is `evenpost up` running?")
    elif content is None:
        say(f"{name} is submitted")
    elif content.state == "refused":
        raise RefusedError(f"{name} is refused: {content.reason}")
    elif not json:
        say(f"{name} is submitted and compiled, version {content.version}")


@app.command()
def status(
    campaign: Annotated[str | None, typer.Argument(metavar="[TENANT:CAMPAIGN]", help="Such as acme:autumn.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All campaigns.")] = False,
    json: JsonFlag = False,
) -> None:
    """State of a campaign and what became of its recipients.

    Example: evenpost campaign status acme:autumn
    """
    from streams.operate import campaign_admin
    from streams.operate.errors import UsageFault

    if (campaign is None) != every:
        raise UsageFault("name one campaign, such as acme:autumn, or give --all")
    found = campaign_admin.statuses(cluster(), campaign, datetime.now(UTC))
    if any(one["outcomes"] is None for one in found):
        say("no warehouse answers SQL: outcomes are not known here")
    if json:
        print_json(found if every else found[0])
        return
    counts = [_counts(one["outcomes"]) for one in found]
    shown = ["events", *(name for name in (*_SHOWN, "other") if any(count.get(name) for count in counts))]
    print_table(
        ("campaign", "kind", "state", *shown, "reason"),
        (
            (one["campaign"], one["kind"], one["state"], *(count.get(name) for name in shown), one["reason"])
            for one, count in zip(found, counts, strict=True)
        ),
    )


def _counts(outcomes: dict[str, Any] | None) -> dict[str, int]:
    """The funnel's numbers, with `other`; none where no warehouse answered."""
    if outcomes is None:
        return {}
    # ClickHouse's JSON has UInt64 as text or number, by its version.
    counts = {name: int(outcomes.get(name, 0)) for name in ("events", *_SHOWN)}
    return counts | {"other": sum(int(outcomes.get(name, 0)) for name in _OTHERS)}


@app.command()
def pause(campaign: CampaignArgument, *, reason: ReasonOption = "", json: JsonFlag = False) -> None:
    """Stop dealing a campaign's mail; what is not sent yet waits.

    Example: evenpost campaign pause acme:autumn --reason "wrong price"
    """
    from streams.operate import campaign_admin

    campaign_admin.set_control(cluster(), campaign, "paused", reason=reason, now=datetime.now(UTC))
    _tell(campaign, "paused", json=json)


@app.command()
def resume(campaign: CampaignArgument, *, json: JsonFlag = False) -> None:
    """Go on with a paused campaign.

    Example: evenpost campaign resume acme:autumn
    """
    from streams.operate import campaign_admin

    lifted = campaign_admin.resume(cluster(), campaign, datetime.now(UTC))
    _tell(campaign, "running", json=json, words="resumed" if lifted else "was not paused")


@app.command()
def cancel(
    campaign: CampaignArgument,
    *,
    reason: ReasonOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """End a campaign for good: whatever is not sent yet becomes `cancelled`.

    Example: evenpost campaign cancel acme:autumn --yes
    """
    from streams.operate import campaign_admin
    from streams.operate.errors import RefusedError

    if not yes and not typer.confirm(f"Cancel {campaign} for good?", err=True):
        raise RefusedError(f"{campaign} is not cancelled")
    campaign_admin.set_control(cluster(), campaign, "cancelled", reason=reason, now=datetime.now(UTC))
    _tell(campaign, "cancelled", json=json)


def _tell(campaign: str, state: str, *, json: bool, words: str = "") -> None:
    if json:
        print_json({"campaign": campaign, "state": state})
    else:
        say(f"{campaign} {words or state}")
