"""`evenpost explain`: why something is as it is."""

import typer

from streams.operate.cli import explain_egress, explain_send

app = typer.Typer(no_args_is_help=True)
explain_egress.register(app)
explain_send.register(app)


@app.callback()
def explain() -> None:
    """Why something is as it is: what an IP may do at a provider, a mail's whole story.

    Example: evenpost explain send 82f33c034ad0cf8435de7e9b05f6460f
    """
