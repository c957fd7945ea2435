"""The declared metrics: each is counted somewhere, has bounded labels, reads as Prometheus, and stands in docs/."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streams.runtime import metrics_page
from streams.runtime.metrics import DECLARED, LABELS, REGISTRY, Declared

ROOT = Path(__file__).resolve().parents[2]


def variables() -> dict[str, str]:
    """Each metric's name in Python, by its name in Prometheus."""
    found: dict[str, str] = {}
    for node in ast.parse((ROOT / "streams/runtime/metrics.py").read_text("utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=variable)], value=ast.Call(func=ast.Name(id=maker), args=[name, *_])):
                if maker in {"_counter", "_gauge", "_histogram"} and isinstance(name, ast.Constant):
                    found[str(name.value)] = variable
    return found


def touched() -> set[str]:
    """Names of metrics that the code counts, sets or hands on."""
    found: set[str] = set()
    for file in (*ROOT.glob("streams/**/*.py"), *ROOT.glob("agents/**/*.py")):
        if file.name in {"metrics.py", "metrics_page.py"}:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                    found.add(name)
    return found


def test_every_metric_is_counted_somewhere() -> None:
    """A declared metric that no code touches is a promise that nobody keeps."""
    names = variables()
    assert names.keys() == {one.name for one in DECLARED}
    assert set(names.values()) - touched() == set()


@pytest.mark.parametrize("one", DECLARED, ids=lambda one: one.name)
def test_names_follow_prometheus(one: Declared) -> None:
    """Prefix, unit or `_total` at the end, and no name of a label that Prometheus uses itself."""
    assert re.fullmatch(r"evenpost_[a-z]+(_[a-z]+)*", one.name)
    assert one.name.endswith("_total") == (one.kind == "counter")
    assert not re.search(r"_(ms|millis|milliseconds|kb|kilobytes|minutes)(_|$)", one.name)
    assert not set(one.labels) & {"job", "instance", "le", "quantile"}


@pytest.mark.parametrize("one", DECLARED, ids=lambda one: one.name)
def test_each_metric_says_what_it_means_and_what_to_do(one: Declared) -> None:
    """Sentences, that fit into a table; none is a copy of another's."""
    for text in (one.meaning, one.action):
        assert text.endswith(".") and "|" not in text and "\n" not in text
    assert [two.meaning for two in DECLARED].count(one.meaning) == 1


def test_every_label_has_a_bound() -> None:
    """Each label is known with its bound, and none names what customers make as many of as they like."""
    used = {label for one in DECLARED for label in one.labels}
    assert used == set(LABELS)
    assert not used & {"tenant", "campaign", "campaign_id", "recipient", "address", "domain", "send_id", "error"}


def test_the_export_is_read_by_prometheus_own_parser() -> None:
    """Every declared metric is there, under its name and kind."""
    families = {one.name: one for one in text_string_to_metric_families(generate_latest(REGISTRY).decode())}
    for one in DECLARED:
        family = families[one.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (one.kind, one.meaning)


def test_the_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m streams.runtime.metrics_page --check` finds nothing to write, and names what to run if it does."""
    assert metrics_page.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_page_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is missing or edited fails the check; writing mends it."""
    monkeypatch.setattr(metrics_page, "PAGE", tmp_path / "metrics.md")
    assert metrics_page.main(["--check"]) == 1
    assert metrics_page.main([]) == 0
    assert metrics_page.main(["--check"]) == 0
    (tmp_path / "metrics.md").write_text("edited")
    assert metrics_page.main(["--check"]) == 1
