"""`evenpost config`: the settings in force."""

import typer

from streams.operate.cli.terminal import JsonFlag, print_json, print_table, room, settings

# Terminal columns that setting (28), origin (11) and variable (38) take, with some left for values.
_FOUR_COLUMNS = 110

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
    title = f"file: {file}" + ("" if file.is_file() else " (not there)")
    if room() < _FOUR_COLUMNS:  # names are there to be copied: rather two lines a setting than a broken one
        names = "setting, variable"
        rows = [(f"{leaf.name}\n{leaf.variable}", leaf.shown, leaf.origin) for leaf in found]
        print_table((names, "value", "from"), rows, title=title, whole=(names, "from"))
        return
    print_table(
        ("setting", "value", "from", "variable"),
        ((leaf.name, leaf.shown, leaf.origin, leaf.variable) for leaf in found),
        title=title,
        whole=("setting", "from", "variable"),
    )
