"""The alert rules of deploy/prometheus: true to the metrics that workers export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.runtime.metrics import DECLARED

FILE = Path(__file__).resolve().parents[2] / "deploy/prometheus/alerts.yml"
BY_NAME = {one.name: one for one in DECLARED}
# Prometheus adds these to whatever it scrapes.
ADDED = {"instance", "job"}


def rules() -> list[dict[str, Any]]:
    """All rules."""
    return [rule for group in yaml.safe_load(FILE.read_text("utf-8"))["groups"] for rule in group["rules"]]


def labels_in(expression: str) -> set[str]:
    """Labels that an expression selects or groups by."""
    listed = re.findall(r"\b(?:by|on|without|ignoring) *\(([^)]*)\)", expression)
    selected = re.findall(r"([a-z_]+) *(?:=~|!~|!=|=)\"", expression)
    return {name.strip() for part in listed for name in part.split(",")} | set(selected)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_names_what_is_exported(rule: dict[str, Any]) -> None:
    """Its metrics and labels exist; its words name no label that the series has not."""
    names = set(re.findall(r"\bevenpost_[a-z_]+", rule["expr"]))
    assert names
    assert names <= BY_NAME.keys()
    known = ADDED | {label for name in names for label in BY_NAME[name].labels}
    assert labels_in(rule["expr"]) <= known
    assert set(re.findall(r"\$labels\.([a-z_]+)", str(rule["annotations"]))) <= known
    assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_says_how_urgent_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    """Severity, what happens, what helps; counters are looked at by their rate."""
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"] and rule["annotations"]["action"]
    for name in re.findall(r"\bevenpost_[a-z_]+_total", rule["expr"]):
        assert re.search(rf"(rate|increase)\({name}\b", rule["expr"])


def test_rules_have_names_of_their_own_and_cover_what_stops_mail() -> None:
    """Stale views, the fuse, lag that stands still, fencing, and writes that fail each have a rule."""
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    watched = set(re.findall(r"\bevenpost_[a-z_]+", " ".join(rule["expr"] for rule in rules())))
    assert watched >= {
        "evenpost_view_age_seconds",
        "evenpost_fuse_share",
        "evenpost_lag_events",
        "evenpost_transactions_total",
        "evenpost_produce_failures_total",
    }
