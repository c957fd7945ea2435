"""What the pipeline's bench makes of its measurements."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import msgspec
import pytest
from rich.console import Console

from streams.operate.bench.pipeline import profile, report, verdict, work
from streams.operate.bench.pipeline.profile import Tops
from streams.operate.bench.pipeline.run import Benched
from streams.operate.bench.pipeline.work import BROKER, Plan
from streams.operate.errors import UsageFault
from streams.operate.proof.usage import Used
from tests.operate.bench.pipeline.world import benched, worked

FOLDED = """\
run (asyncio/runners.py:190);main (/x/streams/runtime/life/worker.py:9);sign (/x/streams/compose/dkim.py:71) 60
run (asyncio/runners.py:190);main (/x/streams/runtime/life/worker.py:9);sign (/x/streams/compose/dkim.py:73) 20
run (/usr/lib/python3.11/asyncio/runners.py:190);send (/v/lib/python3.11/site-packages/aiokafka/client.py:3) 20
"""


def failed(run: Benched) -> list[str]:
    """The names of the checks that don't hold."""
    return [one.name for one in verdict.checks(run, rates=True) if not one.ok]


def spending(sender_s: float, *, broker_s: float = 3.0) -> Any:
    """A run whose sender took so much CPU."""
    return worked(used=dict(worked().used) | {"sender": Used(cpu_s=sender_s), BROKER: Used(cpu_s=broker_s)})


def test_efficiency_is_messages_a_cpu_second_over_signatures() -> None:
    """10,000 messages for 10 s of our CPU, 2,500 signatures a core-second: 0.4; broker and sink are not in it."""
    assert verdict.efficiency(benched()) == pytest.approx(0.4)
    assert verdict.total_ms(benched()) == pytest.approx(1.0)
    assert benched().worked.per_s == 500


def test_the_target_is_met_exactly() -> None:
    """0.36 with 10 KB and 0.28 with 30; the least step below fails."""
    assert failed(benched(worked=spending(10.11))) == []
    assert failed(benched(worked=spending(10.12))) == ["efficiency"]
    large = Plan(events=10_152, size=30)
    assert failed(benched(planned=large, worked=spending(13.28))) == []
    assert failed(benched(planned=large, worked=spending(13.29))) == ["efficiency"]


def test_without_dkim_the_rest_alone_counts() -> None:
    """At most 0.40 ms a message; and the broker at most 0.35 in any run."""
    unsigned = Plan(events=10_152, signed=False)
    assert failed(benched(planned=unsigned, worked=spending(3.0))) == []
    assert failed(benched(planned=unsigned, worked=spending(3.01))) == ["CPU without DKIM, ms a message"]
    assert failed(benched(worked=spending(9.0, broker_s=3.51))) == ["CPU of the broker, ms a message"]


def test_a_run_that_is_short_or_looked_into_is_no_measure() -> None:
    """Its rightness is judged alone."""
    slow = spending(100.0)
    assert [one.name for one in verdict.checks(benched(worked=slow), rates=False)] == ["not at its end in time"]
    assert failed(benched(worked=slow, tops={"sender-0": profile.tops(FOLDED)})) == []
    assert failed(benched(worked=worked(ended=False))) == ["not at its end in time"]


def test_the_middle_is_from_the_first_fifth_to_the_last() -> None:
    """What begins slowly and ends slowly is not in it; of nothing there is no rate."""
    track = [(0.0, 0), (10.0, 20), (11.0, 50), (12.0, 80), (30.0, 100)]
    assert work.middle_per_s(track) == 30
    assert work.middle_per_s([(0.0, 0)]) == 0


def test_stacks_are_summed_by_function_and_by_room() -> None:
    """Self time is the innermost frame's, whatever its line; a room is the innermost module of ours."""
    assert profile.tops(FOLDED) == Tops(
        looks=100,
        functions=(("sign (/x/streams/compose/dkim.py)", 0.8), ("send (aiokafka/client.py)", 0.2)),
        rooms=(("streams/compose/dkim", 0.8), ("aiokafka", 0.2)),
    )
    assert profile.tops("") == Tops(looks=0, functions=(), rooms=())


def test_a_profile_without_py_spy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setattr(profile, "PY_SPY", "no-such-program")
    with pytest.raises(UsageFault, match="pip install"):
        profile.program()


def test_a_run_without_any_message_has_figures() -> None:
    """All of them nothing; it is its checks that say why."""
    figures = verdict.figures(benched(worked=worked(messages=0)))
    assert (figures["efficiency"], figures["per_s"]) == (0.0, 0.0)


def test_the_figures_are_json() -> None:
    """By role and by thread; a thread at rest is left out."""
    figures = json.loads(msgspec.json.encode(verdict.figures(benched())))
    assert figures["efficiency"] == 0.4
    assert figures["cpu_ms_by_role"] == {"gate": 0.1, "sender": 0.9, "kafka": 0.3, "sink": 0.05}
    assert figures["cpu_ms_by_thread"]["gate"] == {"python": 0.075, "rdk:broker": 0.025}
    assert figures["signatures_per_core_s"] == [2400, 2600]
    assert figures["dkim"] and not figures["profiled"]


def test_the_report_says_what_is_off() -> None:
    """In 110 columns: roles, the broker beside them, and in the title that nothing was signed or that py-spy looked."""
    run = benched(planned=Plan(events=10_152, signed=False), tops={"sender-0": profile.tops(FOLDED)})
    output = StringIO()
    report.show(Console(file=output, width=report.WIDTH), run, verdict.checks(run, rates=True))
    shown = output.getvalue()
    assert "WITHOUT DKIM" in shown and "no measure" in shown
    assert "beside, not in it" in next(line for line in shown.splitlines() if line.startswith("kafka"))
    assert "80.0%" in shown
    assert max(map(len, shown.splitlines())) <= report.WIDTH
