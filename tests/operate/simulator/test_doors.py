"""Receivers with limits of their own: a rate for each client, and doors closed to one of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.delivery.replies import classify
from streams.operate.simulator import read_log
from streams.operate.simulator.doors import Doorkeeper, Doors
from streams.operate.simulator.errors import BadSettingError
from streams.operate.simulator.settings import SimulatorSettings
from tests.operate.simulator.builders import send, simulator

AT = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_client_gets_a_seconds_worth_at_once_and_then_its_rate() -> None:
    """Five a second for each address and EHLO name; another domain has no limit."""
    keeper = Doorkeeper(Doors.read(["paced.example=5"], [], seed=1))
    taken: dict[tuple[str, str], int] = {}
    for tenth in range(100):
        now = AT + timedelta(seconds=tenth / 10)
        for peer, helo in (("127.0.0.1", "m0"), ("127.0.0.1", "m1"), ("127.0.0.2", "m0")):
            for _ in range(2):
                refused = keeper.refusal("u@Paced.example", peer=peer, helo=helo, now=now)
                taken[peer, helo] = taken.get((peer, helo), 0) + (refused is None)
                if refused is not None:
                    outcome, reply = refused
                    assert outcome == "pace"
                    assert classify(reply.code, f"{reply.enhanced} {reply.text}", stage="rcpt").class_ == "throttled"
        assert keeper.refusal("u@quick.example", peer="127.0.0.1", helo="m0", now=now) is None
    assert set(taken.values()) == {5 + 49}


def test_a_client_that_is_blocked_is_known_by_its_address_or_its_name() -> None:
    """At that domain, and at no other."""
    keeper = Doorkeeper(Doors.read([], ["a.example=127.0.0.3", "b.example=M1.mail.example"], seed=1))

    def gets(domain: str, peer: str, helo: str) -> str | None:
        refused = keeper.refusal(f"u@{domain}", peer=peer, helo=helo, now=AT)
        return refused and classify(refused[1].code, f"{refused[1].enhanced} {refused[1].text}", stage="rcpt").class_

    assert gets("a.example", "127.0.0.3", "m0.mail.example") == "policy"
    assert gets("a.example", "127.0.0.4", "m0.mail.example") is None
    assert gets("b.example", "127.0.0.4", "m1.mail.example") == "policy"
    assert gets("b.example", "127.0.0.3", "m0.mail.example") is None


def test_a_rate_is_drawn_from_the_seed() -> None:
    """The same one again, between the bounds, others with other seeds."""
    drawn = [Doors.read(["a.example=2..40"], [], seed=seed).paces["a.example"] for seed in range(50)]
    assert drawn == [Doors.read(["a.example=2..40"], [], seed=seed).paces["a.example"] for seed in range(50)]
    assert all(2 <= rate <= 40 for rate in drawn)
    assert min(drawn) < 4 and max(drawn) > 20


@pytest.mark.parametrize("text", ["a.example", "=5", "a.example=", "a.example=0", "a.example=fast", "a.example=1..-2"])
def test_a_pace_that_is_none_says_so(text: str) -> None:
    """With its name and what it must be."""
    with pytest.raises(BadSettingError, match="pace"):
        Doors.read([text], [], seed=1)
    with pytest.raises(BadSettingError, match="pace"):  # before anything listens: the command's exit code is 2
        SimulatorSettings(pace=(text,))


async def test_over_the_wire_they_are_refused_and_logged(tmp_path: Path) -> None:
    """One of two a second, and all of the blocked one; what was drawn is told to who runs it."""
    options = {"pace": ("paced.example=1..1",), "block": ("shut.example=client.example",), "seed": 7}
    async with simulator(tmp_path, **options) as (running, log):
        codes = [
            await send(running.smtp_port, to)
            for to in ("a@paced.example", "b@paced.example", "c@shut.example", "d@open.example")
        ]
        assert running.paces == {"paced.example": 1.0}
    assert codes == [250, 451, 450, 250]
    assert [entry.outcome for entry in read_log(log)] == ["accept", "pace", "block", "accept"]
