"""`evenpost bench`: what the runtime can do on this machine, measured and checked."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import (
    bench_compose,
    bench_delay,
    bench_latency,
    bench_pipeline,
    bench_scale,
    bench_sender,
    bench_spread,
    bench_state,
    bench_warmup,
    proving,
)
from streams.operate.cli.terminal import settings
from streams.operate.errors import UsageFault

app = typer.Typer(no_args_is_help=True)
bench_state.register(app)
bench_sender.register(app)
bench_spread.register(app)
bench_pipeline.register(app)
bench_warmup.register(app)
bench_compose.register(app)
bench_delay.register(app)
bench_latency.register(app)
bench_scale.register(app)

# Below it a run is over before rates and latencies say anything: its rightness is checked alone.
_TELLING_EVENTS = 12_000


@app.callback()
def bench() -> None:
    """Measure, and check that what was measured was right.

    Example: evenpost bench runtime
    """


@app.command()
def runtime(
    *,
    events: Annotated[
        int, typer.Option("--events", min=500, max=5_000_000, help="Events that each side is given.")
    ] = 40_000,
    workload: Annotated[
        list[str] | None,
        typer.Option("--workload", help="Only this one: raw, table, send, ack or latency; may be given again."),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=50, help="How often each side runs.")] = 3,
    json: proving.ProofFlag = False,
) -> None:
    """Rates of this runtime and of stock Faust side by side: raw, table, send, ack; then latencies.

    Each side is a process of its own, on a Kafka of this bench's own (kafka.bootstrap, where it is set, is used under
    a prefix of the bench's own, deleted afterwards).  Stock Faust 0.15.3 gets raw codecs, our prefetch and buffers, the
    same commit interval, uvloop, and a producer linger of 5 ms: as one would run it well.  Below 12,000 events only
    the rightness is judged, not the rates.

    Example: evenpost bench runtime --events 40000 --rounds 3
    """
    from streams.operate.bench import report, verdict
    from streams.operate.bench import run as running
    from streams.operate.bench.workloads import WORKLOADS

    only = [one for one in WORKLOADS if workload is None or one in workload]
    unknown = sorted(set(workload or ()) - set(WORKLOADS))
    if unknown:
        raise UsageFault(f"--workload {unknown[0]}: there are {', '.join(WORKLOADS)}")
    base = settings()
    folder = Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def measured() -> running.Benched:
        with report.Bars(Console(stderr=True, emoji=False), steps=running.steps(only, rounds=rounds)) as bars:
            return running.bench(base, folder, bars, events=events, rounds=rounds, only=only)

    benched = proving.proved(measured, folder, passing=True)
    judged = verdict.checks(benched, ratios=events >= _TELLING_EVENTS)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), benched, judged)
    proving.end(judged, verdict.figures(benched), folder, json=json)
