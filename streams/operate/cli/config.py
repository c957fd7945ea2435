"""`evenpost config`: the settings in force."""

import typer

from streams.operate.cli.terminal import JsonFlag, print_json, print_table, settings

app = typer.Typer(no_args_is_help=True)


@app.callback()
def config() -> None:
    """The settings in force.

    Example: evenpost config show
    """


@app.command()
def show(*, json: JsonFlag = False) -> None:
    """Each setting, its value (secrets masked), and whether default, file or environment gave it.

    Example: evenpost config show --json
    """
    from streams.operate.settings_tree import config_file, leaves

    found = leaves(settings())
    if json:
        print_json(
            [{"name": leaf.name, "value": leaf.shown, "from": leaf.origin, "variable": leaf.variable} for leaf in found]
        )
        return
    file = config_file()
    print_table(
        ("setting", "value", "from", "variable"),
        ((leaf.name, leaf.shown, leaf.origin, leaf.variable) for leaf in found),
        title=f"file: {file}" + ("" if file.is_file() else " (not there)"),
    )
