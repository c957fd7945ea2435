"""docs/metrics.md from the declarations: what each metric means and what to do about it.

python -m streams.runtime.metrics_page              write
python -m streams.runtime.metrics_page --check      compare only; exit 1 when the page is stale
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streams.runtime.metrics import DECLARED, LABELS, Declared

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
_HEAD: Final = """\
<!-- Written by `make schemas` from streams/runtime/metrics.py. Edit that. -->

# Metrics

Each worker exports them at `/metrics` on `worker.http_host`:`worker.http_port` (loopback and a free port by default;
the address is in `data_dir/run/<member>.health.json`). Alert rules for what can't wait:
[alerts.yml](../deploy/prometheus/alerts.yml). Histograms have the usual `_bucket`, `_sum` and `_count`.

| metric | kind | labels | what it means | what to do |
|---|---|---|---|---|
"""
_FOOT: Final = """
## Labels

Every value of a label is a series of its own on every worker, so each has a bound. None names a tenant, a campaign or
an address: those are as many as customers like. Ask ClickHouse (`evenpost sql`), which has every delivery.

| label | its values |
|---|---|
"""


def page() -> str:
    """The page's text."""
    used = {label for one in DECLARED for label in one.labels}
    labels = [f"| `{name}` | {bound} |" for name, bound in LABELS.items() if name in used]
    return _HEAD + "".join(f"{_row(one)}\n" for one in DECLARED) + _FOOT + "\n".join(labels) + "\n"


def _row(one: Declared) -> str:
    labels = ", ".join(f"`{name}`" for name in one.labels) or "-"
    return f"| `{one.name}` | {one.kind} | {labels} | {one.meaning} | {one.action} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m streams.runtime.metrics_page", description="Write docs/metrics.md."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page differs")
    if not parser.parse_args(arguments).check:
        PAGE.write_text(page(), "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == page():
        return 0
    sys.stderr.write(
        "docs/metrics.md differs from streams/runtime/metrics.py. Run `make schemas` and commit the result.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
