"""`evenpost bench compose`, as CI runs it: messages verify, and composing costs no more than it did."""

from __future__ import annotations

import json

import msgspec
from typer.testing import CliRunner

from streams.operate.bench.compose import verdict
from streams.operate.bench.compose.work import Composed, Turn
from streams.operate.cli import app


def test_composing_costs_no_more_beside_its_signature_than_it_did() -> None:
    """The guard: a ratio of two costs within a turn, the best of three; its tolerance is in the verdict."""
    result = CliRunner().invoke(app, ["bench", "compose", "--messages", "100", "--turns", "3", "--json"])
    assert result.exit_code == 0, result.output
    line = json.loads(result.stdout)
    assert line["ok"] is True
    assert len(line["checks"]) == 2
    figures = line["figures"]
    assert figures["whole_us"] > figures["signature_us"] > 0
    assert len(figures["turns"]) == 3


def test_a_size_that_does_not_exist_is_refused() -> None:
    """It names the sizes that do."""
    result = CliRunner().invoke(app, ["bench", "compose", "--size", "20"])
    assert result.exit_code != 0
    assert "--size 20: there are messages of 10 and of 30 KB" in result.output


def test_the_best_turn_counts_and_a_bad_signature_fails() -> None:
    """One quiet turn is enough; one message that does not verify is too many."""
    good = Composed(
        messages=200,
        octets=10_200,
        turns=(
            Turn(whole_us=900.0, unsigned_us=500.0, signature_us=400.0),
            Turn(whole_us=500.0, unsigned_us=240.0, signature_us=400.0),
        ),
        sampled=50,
        unverified=0,
    )
    assert [one.ok for one in verdict.checks(good, size=10)] == [True, True]
    slower = msgspec.structs.replace(good, turns=good.turns[:1])
    assert [one.ok for one in verdict.checks(slower, size=10)] == [True, False]
    assert [one.ok for one in verdict.checks(msgspec.structs.replace(good, unverified=1), size=10)] == [False, True]
