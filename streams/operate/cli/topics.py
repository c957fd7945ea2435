"""`evenpost topics`: the declared topics on the cluster."""

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table

app = typer.Typer(no_args_is_help=True)


@app.callback()
def topics() -> None:
    """The declared topics.

    Example: evenpost topics apply
    """


@app.command()
def apply(*, json: JsonFlag = False) -> None:
    """Create what is missing; refuse a topic that has another number of partitions than the settings say.

    Example: evenpost topics apply
    """
    from streams.runtime.cluster import check_reachable
    from streams.runtime.topic_admin import apply_topics

    settings = cluster()
    check_reachable(settings)
    applied = apply_topics(settings)
    if json:
        print_json(applied)
        return
    print_table(
        ("topic", "partitions", "state"),
        ((one.topic, one.partitions, "created" if one.created else "present") for one in applied),
    )
