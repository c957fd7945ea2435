"""`evenpost dead-letters`: events that could not be used, and the way back for those that now can."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say

if TYPE_CHECKING:
    from streams.operate.dead_letter_policy import Policy
    from streams.operate.dead_letter_replay import Chosen

app = typer.Typer(no_args_is_help=True)


@app.callback()
def dead_letters() -> None:
    """Events that could not be used.

    Example: evenpost dead-letters list
    """


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many, newest first.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Those that were replayed as well.")] = False,
    json: JsonFlag = False,
) -> None:
    """The newest dead letters: reason, where the event stood, its first bytes with addresses masked.

    Example: evenpost dead-letters list --limit 5
    """
    from streams.operate.dead_letter_list import newest, newest_of_all

    found = (newest_of_all if all_ else newest)(cluster(), limit)
    if json:
        print_json(found)
        return
    if not found:
        say("no dead letters")
        return
    columns = ["at", "reason", "role", "topic", "partition", "offset", "bytes", "start"]
    columns += ["replayed"] if all_ else []
    print_table(columns, ([one[name] for name in columns] for one in found), blocks=True)


@app.command()
def replay(
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="A part of reason or error; with * ? or [, a pattern for all of it.")
    ] = "",
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="Where it stood, such as recipients.marketing; can be repeated.")
    ] = None,
    role: Annotated[str, typer.Option("--role", help="Who gave it up: gate, feedback, ...")] = "",
    since: Annotated[
        str | None, typer.Option("--since", help="Not before this: an RFC 3339 time, or how long ago (90m, 12h, 3d).")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this; as --since.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, oldest first.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Write dead letters back to the topics that they came from, each at most once.

    Mend the cause first: what fails again is a new dead letter.  docs/sres.md says what becomes of each kind.

    Example: evenpost dead-letters replay --reason "internal error" --since 12h --dry-run
    """
    from streams.operate.dead_letter_replay import choose
    from streams.operate.dead_letter_replay import replay as write_back

    settings, policy = cluster(), _policy(reason, topic, role, since, until)
    if dry_run:
        chosen = choose(settings, policy, limit=limit)
        _tell(chosen, json=json)
        return

    def agreed(chosen: "Chosen") -> bool:
        if yes:
            return True
        _tell(chosen, json=False)
        question = f"Replay {len(chosen.letters)} dead letter(s)?"
        if not typer.confirm(question, err=True):
            raise typer.Exit(1)
        return True

    chosen, result = write_back(settings, policy, limit=limit, agreed=agreed)
    if json:
        print_json(_report(chosen) | {"replayed": result.written, "not_taken": len(result.not_taken)})
    else:
        say(_sentence(chosen, result.written, len(result.not_taken)))
    if result.not_taken:
        raise typer.Exit(1)


def _policy(reason: str, topic: list[str] | None, role: str, since: str | None, until: str | None) -> "Policy":
    from schemas.topics import BY_NAME
    from streams.operate.dead_letter_policy import Policy, moment
    from streams.operate.errors import UsageFault

    for name in topic or ():
        if name not in BY_NAME:
            raise UsageFault(f"--topic {name!r}: no such topic; docs/topics.md names all, and the prefix is left out")
    times: dict[str, datetime | None] = {"since": None, "until": None}
    for option, text in (("since", since), ("until", until)):
        if text is not None:
            try:
                times[option] = moment(text, datetime.now(UTC))
            except ValueError as error:
                raise UsageFault(f"--{option} {text!r}: {error}; give a time or 90m, 12h, 3d") from None
    return Policy(reason=reason, topics=frozenset(topic or ()), role=role, **times)


def _report(chosen: "Chosen") -> dict[str, Any]:
    return {"letters": len(chosen.letters), "replayed_before": chosen.done, "groups": chosen.groups()}


def _tell(chosen: "Chosen", *, json: bool) -> None:
    """What would go."""
    if json:
        print_json(_report(chosen))
        return
    groups = chosen.groups()
    if groups:
        print_table(("topic", "reason", "letters", "can't be replayed"), (tuple(one.values()) for one in groups))
    say(f"{len(chosen.letters)} to replay, {chosen.done} replayed before, {len(chosen.refused)} can't be replayed")


def _sentence(chosen: "Chosen", written: int, not_taken: int) -> str:
    words = [f"replayed {written}"]
    if chosen.done:
        words.append(f"{chosen.done} were replayed before")
    if chosen.refused:
        words.append(f"{len(chosen.refused)} can't be replayed (--dry-run says why)")
    if not_taken:
        words.append(f"{not_taken} the broker does not take: too large, or their partition is gone")
    return "; ".join(words)
