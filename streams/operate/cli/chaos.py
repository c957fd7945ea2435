"""`evenpost chaos`: break what can break, and prove that nothing came of it."""

from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving
from streams.operate.errors import UsageFault

app = typer.Typer(no_args_is_help=True)


@app.callback()
def chaos() -> None:
    """Break what can break, and prove that nothing came of it.

    Example: evenpost chaos runtime
    """


@app.command()
def runtime(
    *,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=1_000, help="Blows to workers and broker.")] = 30,
    seed: Annotated[int, typer.Option("--seed", help="The same seed, the same rounds.")] = 1,
    events: Annotated[int, typer.Option("--events", min=100, max=10_000_000, help="Events to decide.")] = 200_000,
    workers: Annotated[int, typer.Option("--workers", min=2, max=5, help="Workers at the start.")] = 3,
    partitions: Annotated[int, typer.Option("--partitions", min=1, max=200, help="Partitions.")] = 24,
    session_timeout_s: Annotated[
        float, typer.Option("--session-timeout", min=6, max=300, help="Seconds until a silent worker counts as dead.")
    ] = 12.0,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="KIND", help="Draw from these kinds alone; may be repeated.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary folder.")] = False,
    json: proving.ProofFlag = False,
) -> None:
    """Kill, stop, add and remove workers and the broker under load; audit every event's effect.

    An embedded Kafka of its own; no cluster of yours is touched.

    Example: evenpost chaos runtime --rounds 4 --events 20000
    """
    from streams.operate.chaos.runtime import plan, report, run
    from streams.operate.chaos.screen import ChaosScreen
    from streams.operate.chaos.watching import Watcher
    from streams.runtime import logs

    try:
        kinds = [plan.Kind(one) for one in only or plan.Kind]
        planned = plan.make(seed=seed, rounds=rounds, workers=workers, events=events, kinds=kinds)
    except ValueError as error:
        raise UsageFault(f"--only: {error}; kinds are {', '.join(plan.Kind)}") from None
    logs.configure("ERROR")  # upstream's producer says which records the broker's absence kept; they are sent again
    folder = run.make_folder()
    base = run.settings(folder, partitions=partitions, session_timeout_s=session_timeout_s)

    def survived() -> run.Survived:
        with ChaosScreen(Console(stderr=True, emoji=False)) as screen:
            watcher = Watcher(phase=screen.phase, note=screen.note, progress=screen.progress)
            return run.torment(base, planned, watcher)

    found = proving.proved(survived, folder, passing=not keep)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found)
    proving.end(found.checks, found.figures, folder, passing=not keep, json=json)


@app.command()
def edge(
    *,
    kills: Annotated[int, typer.Option("--kills", min=0, max=1_000, help="kill -9, the points in turn.")] = 16,
    stops: Annotated[int, typer.Option("--stops", min=0, max=200, help="Senders stopped past their session.")] = 4,
    broker_kills: Annotated[
        int, typer.Option("--broker-kills", min=0, max=100, help="Of the broker, the last one with 15 s away.")
    ] = 2,
    points: Annotated[
        list[str] | None, typer.Option("--points", metavar="POINT", help="Kill at these alone; may be repeated.")
    ] = None,
    drops: Annotated[
        int,
        typer.Option("--drops", min=0, max=10_000, help="Go on until so many receivers were to drop after the dot."),
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed, the same people and blows.")] = 1,
    session_timeout_s: Annotated[
        float, typer.Option("--session-timeout", min=6, max=300, help="Seconds until a silent member counts as dead.")
    ] = 6.0,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary folder.")] = False,
    json: proving.ProofFlag = False,
) -> None:
    """Kill and stop senders, warehouse and broker in the middle of mail; ask the receiver what came of it.

    Embedded Kafka and ClickHouse and a simulated receiver of its own; no cluster of yours is touched, no mail leaves.

    Example: evenpost chaos edge --kills 8 --stops 1
    """
    from streams.operate.chaos.edge import plan, report, run, stage
    from streams.operate.chaos.screen import ChaosScreen
    from streams.operate.chaos.watching import Watcher
    from streams.runtime import logs

    chosen = [point for point in plan.POINTS if points is None or point in points]
    if unknown := set(points or ()) - set(chosen):
        raise UsageFault(f"--points: no point {', '.join(sorted(unknown))}; there are {', '.join(plan.POINTS)}")
    planned = plan.make(
        seed=seed,
        kills=kills,
        stops=stops,
        broker_kills=broker_kills,
        session_timeout_s=session_timeout_s,
        drops=drops,
        points=chosen,
    )
    logs.configure("ERROR")  # upstream's producer says which records the broker's absence kept; they are sent again
    folder = stage.make_folder()

    def survived() -> run.Survived:
        with ChaosScreen(Console(stderr=True, emoji=False)) as screen:
            watcher = Watcher(phase=screen.phase, note=screen.note, progress=screen.progress)
            return run.torment(folder, planned, watcher, session_timeout_s=session_timeout_s)

    found = proving.proved(survived, folder, passing=not keep)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found)
    proving.end(found.checks, found.figures, folder, passing=not keep, json=json)
