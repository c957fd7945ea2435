"""`evenpost egress add|drain|suspend|resume`: IPs come and go; gates and senders follow within seconds."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, say

IpArgument = Annotated[str, typer.Argument(metavar="IP_OR_SLOT", help="Address, EHLO name or slot number.")]
ProviderOption = Annotated[str | None, typer.Option("--provider", help="Only mail to this provider, such as gmail.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `evenpost egress`."""
    for command in (add, drain, suspend, resume):
        app.command()(command)


def add(
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="Local address to send from.")] = None,
    *,
    ehlo: Annotated[str, typer.Option("--ehlo", help="The IP's own name, as its PTR record has it.")],
    smarthost: Annotated[str | None, typer.Option("--smarthost", metavar="HOST:PORT", help="Send through it.")] = None,
    slot: Annotated[int | None, typer.Option("--slot", min=0, help="Which spare slot; otherwise the first.")] = None,
    pool: Annotated[str | None, typer.Option("--pool", help="Pool that it joins; shared if not given.")] = None,
    weight: Annotated[float | None, typer.Option("--weight", help="Share beside the others' 1.")] = None,
    warm: Annotated[bool, typer.Option("--warm", help="Providers know it already: no warm-up.")] = False,
    initial: Annotated[
        int, typer.Option("--initial", min=1, max=10_000_000, help="Warm-up: mails to each provider on day one.")
    ] = 50,
    factor: Annotated[
        float, typer.Option("--factor", min=1.01, max=10, help="Warm-up: times this each good day.")
    ] = 1.5,
    json: JsonFlag = False,
) -> None:
    """Add a sending IP: a spare slot becomes active, and the pool's mail is spread over one more.

    It warms up (docs/warm-up.md) unless --warm is given.

    Example: evenpost egress add 192.0.2.19 --ehlo m19.mail.example --initial 50 --factor 1.5
    """
    from schemas.events import Warmup
    from streams.operate import egress_life
    from streams.operate.errors import UsageFault

    if address is None and smarthost is None:
        raise UsageFault("give ADDRESS, or --smarthost HOST:PORT")
    plan = None if warm else Warmup(started_at=datetime.now(UTC), initial_per_day=initial, factor=factor)
    found = egress_life.add(
        cluster(),
        {"ehlo": ehlo, "pool": pool, "weight": weight},
        slot=slot,
        address=address,
        smarthost=smarthost,
        warmup=plan,
    )
    if json:
        print_json(found)
        return
    way = "warm" if plan is None else f"warms up from {initial} a day, times {factor:g} each good day"
    say(f"slot {found.slot} is {egress_life.way_out(found)} in pool {found.pool}; {way}")


def drain(ip: IpArgument, *, json: JsonFlag = False) -> None:
    """Take a sending IP out: no new mail, and what waits there goes out through the others.

    Example: evenpost egress drain 192.0.2.19
    """
    from streams.operate import egress_life

    found, others = egress_life.drain(cluster(), ip)
    if not others:
        say(f"warning: pool {found.pool} has no active IP left: its mail waits", style="yellow")
    if json:
        print_json(found)
    else:
        say(f"slot {found.slot} ({egress_life.way_out(found)}) is drained; `evenpost egress resume` takes it back")


def suspend(
    ip: IpArgument,
    *,
    provider: ProviderOption = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="Such as 30m, 2h, 7d; otherwise until `resume`.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the control.")] = "",
    json: JsonFlag = False,
) -> None:
    """Stop a sending IP for a while, at one provider or at all; what waits there goes out through the others.

    Example: evenpost egress suspend 192.0.2.19 --provider gmail --for 12h --reason "listed"
    """
    from streams.operate import egress_life

    span = None if for_ is None else egress_life.span_of(for_)
    now = datetime.now(UTC)
    control = egress_life.suspend(cluster(), ip, provider=provider, span=span, reason=reason, now=now)
    if json:
        print_json(control)
        return
    until = "until `evenpost egress resume`" if control.until is None else f"until {control.until:%Y-%m-%d %H:%M} UTC"
    say(f"slot {control.key} is suspended{f' at {provider}' if provider else ''} {until}")


def resume(ip: IpArgument, *, provider: ProviderOption = None, json: JsonFlag = False) -> None:
    """Take a drained or suspended IP back; what automation said of it stands (`evenpost incidents lift`).

    Example: evenpost egress resume 192.0.2.19
    """
    from streams.operate import egress_life

    found, lifted, still = egress_life.resume(cluster(), ip, provider=provider, now=datetime.now(UTC))
    if json:
        print_json({"slot": found.slot, "state": found.state, "lifted": lifted, "still": still})
        return
    for words in still:
        say(f"warning: slot {found.slot} is still {words}", style="yellow")
    say(f"slot {found.slot}: " + (f"lifted: {'; '.join(lifted)}" if lifted else "nothing stopped it"))
