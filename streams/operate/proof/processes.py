"""What must hold of the processes of any run: none ended before it was asked to, and all that ran is gone."""

from streams.operate.proof.checks import Check, at_most


def checks(*, started: int, left: int, restarts: int) -> list[Check]:
    """The two checks."""
    return [
        at_most("workers started again", restarts, 0, "none ended unasked" if not restarts else "see logs/"),
        at_most("processes left", left, 0, f"{started:,} ran"),
    ]
