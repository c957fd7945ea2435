"""The bench of scale: what a second process may cost, and the arithmetic; its runs are the pipeline's (test_run)."""

from __future__ import annotations

import json
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from streams.operate.bench.pipeline.work import BROKER
from streams.operate.bench.scale import report, verdict
from streams.operate.bench.scale.outlook import outlook
from streams.operate.bench.scale.work import ONE, SHAPES, Scaled, Shape
from streams.operate.proof.checks import at_most
from streams.operate.proof.usage import Used
from streams.runtime.settings import KafkaSettings
from tests.operate.bench.pipeline.world import benched, worked

KAFKA = KafkaSettings(gate_partitions=12, slots=16)


def scaled(*, growth: float = 1.0) -> Scaled:
    """Each shape's run; where there are two of a role it costs so much more a message."""
    ran = []
    for shape in SHAPES:
        used = dict(worked().used) | {
            "gate": Used(cpu_s=1.0 * (growth if shape.gates > 1 else 1)),
            "sender": Used(cpu_s=9.0 * (growth if shape.senders > 1 else 1)),
            "control": Used(cpu_s=0.2),
        }
        peaks = dict.fromkeys(used, 100.0)
        ran.append((shape, benched(worked=worked(used=used, peak_mb=peaks))))
    return Scaled(events=10_152, ran=tuple(ran))


@pytest.mark.parametrize(("growth", "failed"), [(1.10, 0), (1.11, 4)])
def test_a_tenth_more_is_enough_and_more_is_too_much(growth: float, failed: int) -> None:
    """Each role is looked at wherever there are two of it."""
    assert sum(not one.ok for one in verdict.checks(scaled(growth=growth), costs=True)) == failed


def test_a_run_that_was_wrong_fails_whatever_it_cost() -> None:
    """Its fault is named; a short run is judged by that alone."""
    good = scaled()
    wrong = benched(checks=(at_most("ClickHouse = Kafka", 1, 0, ""),))
    run = msgspec.structs.replace(good, ran=((ONE, wrong), *good.ran[1:]))
    checks = verdict.checks(run, costs=False)
    assert len(checks) == len(SHAPES)
    (fault,) = [one for one in checks if not one.ok]
    assert (fault.name, fault.note) == ("1 gate, 1 sender: faults", "ClickHouse = Kafka")


def test_the_arithmetic_of_many_cores() -> None:
    """1.02 ms a message: ten cores do 9,804 a second; CONTROL's 0.02 ms end at 50,000, before a thousand cores do."""
    cpu_ms = {"gate": 0.1, "sender": 0.9, "control": 0.02, BROKER: 0.3, "sink": 0.05}
    ours = frozenset({"gate", "sender", "control"})
    ten, thousand = (outlook(cpu_ms, broker=BROKER, ours=ours, cores=cores, kafka=KAFKA) for cores in (10, 1_000))
    assert ten.per_s == pytest.approx(10_000 / 1.02)
    assert ten.broker_cores == pytest.approx(ten.per_s * 0.3 / 1000)
    assert ten.first == "the cores"
    assert ten.a_day == pytest.approx(ten.per_s * 86_400)
    assert thousand.bounds == (
        ("16 slots", pytest.approx(16_000 / 0.9)),
        ("CONTROL, one active", pytest.approx(50_000)),
        ("12 gate partitions", pytest.approx(120_000)),
    )
    assert thousand.first == "16 slots"
    assert thousand.a_day == pytest.approx(16_000 / 0.9 * 86_400)


def test_the_report_and_the_figures_have_every_shape() -> None:
    """People see a column each, scripts a row each; both the outlook."""
    run = scaled()
    out = StringIO()
    report.show(Console(file=out, width=report.WIDTH), run, KAFKA, verdict.checks(run, costs=True))
    page = out.getvalue()
    assert "full first" in page and "1,000" in page
    told = json.loads(msgspec.json.encode(verdict.figures(run, KAFKA)))
    assert [(one["gates"], one["senders"]) for one in told["shapes"]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [one["cores"] for one in told["outlook"]] == [10, 100, 1_000]
    assert Shape(2, 1).words == "2 gates, 1 sender"
