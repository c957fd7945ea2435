"""`evenpost explain send`: the whole story of one mail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say, settings

if TYPE_CHECKING:
    from streams.operate.explain.send_story import Step, Story

# A send id as it is, or the Message-ID that it is in.
_SEND_ID: Final = re.compile(r"<?(?P<send_id>[0-9a-fA-F]{32})(@[^>\s]+)?>?")


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost explain`."""
    app.command()(send)


def send(
    send_id: Annotated[str, typer.Argument(metavar="SEND_ID", help="32 hex characters, or the mail's Message-ID.")],
    *,
    kafka: Annotated[
        bool,
        typer.Option(
            "--kafka",
            help="Read the sends, journal and returns topics too: what is under way, connections, due times.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """The whole story of a send, in the order of time: verdicts with their rules, IPs, waits, attempts, replies.

    The warehouse tells it, a second or two after it happened.  With --kafka the topics are asked as well, which are
    read whole: some seconds for each million of records.

    Example: evenpost explain send 82f33c034ad0cf8435de7e9b05f6460f
    """
    from streams.operate.errors import UnknownThingError, UsageFault
    from streams.operate.explain.send_records import records
    from streams.operate.explain.send_rows import deliveries
    from streams.operate.explain.send_story import story

    found = _SEND_ID.fullmatch(send_id.strip())
    if found is None:
        raise UsageFault(
            f"{send_id}: no send id; expected 32 hex characters, as in deliveries.send_id, or the mail's Message-ID"
        )
    name = found["send_id"].lower()
    rows = deliveries(settings(), name)
    if kafka:
        of_kafka = records(cluster(), name)
        told = story(rows, sends=of_kafka.sends, intents=of_kafka.intents, returns=of_kafka.returns)
    else:
        told = story(rows)
    if told is None:
        hint = "nor in Kafka's topics" if kafka else "it may be under way: --kafka looks there as well"
        raise UnknownThingError(f"no send {name} in the warehouse; {hint}")
    if json:
        print_json(told)
    else:
        _show(told)


def _show(told: Story) -> None:
    ended = "has no final outcome yet" if told.outcome is None else f"ended: {told.outcome}"
    say(f"{told.send_id}  {told.tenant}:{told.campaign_id}  {told.kind}  {told.recipient_id}  {told.domain}")
    say(f"{ended}, {told.seconds:.3f} s from the first word to the last; provider {told.provider or '-'}")
    for topic, partition, offset in told.asked:
        say(f"asked for by {topic} partition {partition} offset {offset}")
    times = [None, *(step.at for step in told.steps)]
    rows = [
        (
            f"{step.at:%Y-%m-%d %H:%M:%S}.{step.at.microsecond // 1000:03d}",
            "" if before is None else f"+{(step.at - before).total_seconds():.3f}",
            f"{step.what}{' (final)' if step.final else ''}",
            "" if step.slot is None else str(step.slot),
            _tries(step),
            step.words,
        )
        for before, step in zip(times, told.steps, strict=False)
    ]
    print_table(("at (UTC)", "s", "what", "IP", "deal/try", "why"), rows, whole=("at (UTC)", "s", "what"))


def _tries(step: Step) -> str:
    return f"{step.deal}/{step.attempt}" if step.deal else ""
