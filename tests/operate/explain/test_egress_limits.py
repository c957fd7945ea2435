"""What holds for an IP at a provider is told with who said it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.delivery import shaping
from streams.operate.explain.egress_limits import Asked, Line, lines
from streams.runtime.settings import Settings
from streams.views import World

NOW = datetime(2026, 12, 1, 4, 0, tzinfo=UTC)


class Ip:
    """Slot 3 of a pool of two, and what is said of it at gmail."""

    def __init__(self, tmp_path: Path) -> None:
        """A shaping file of the deployment's own limits docomo."""
        self.world = World()
        self.egress(2)
        self.egress(3)
        self.file = tmp_path / "mine.toml"
        self.file.write_text("[provider.docomo]\nconnections = 2\nmessages_per_day = 900\n", "utf-8")

    def egress(self, slot: int, **fields: Any) -> None:
        """Declare a slot."""
        via = {"kind": "bind", "address": f"192.0.2.{slot}"}
        self.say("egress", str(slot), {"slot": slot, "via": via, "ehlo": "m.example"} | fields)

    def say(self, topic: str, key: str, event: dict[str, Any]) -> None:
        """Fold a record in."""
        self.world.apply(topic, key, msgspec.json.encode(event))

    def explained(self, provider: str = "gmail") -> dict[str, Line]:
        """The lines by what they are about; the last of several."""
        asked = Asked(
            world=self.world,
            egress=self.world.egress["3"],
            provider=provider,
            shaping=shaping.load(self.file),
            settings=Settings(),
            origin=lambda _: "default",
            now=NOW,
        )
        return {one.what: one for one in lines(asked)}


@pytest.fixture
def ip(tmp_path: Path) -> Ip:
    """Nothing is said but that it is there."""
    return Ip(tmp_path)


def test_an_ip_of_which_nothing_is_said_has_the_shipped_limits(ip: Ip) -> None:
    """Each line names topic and key, file and table, or setting."""
    told = ip.explained()
    limits = shaping.load(None).limits("gmail")
    assert (told["weight"].value, told["share"].value) == (1.0, 0.5)
    assert told["weight"].source == "topic egress, key 3"
    assert told["messages a second"].value == limits.messages_per_s
    assert told["messages a second"].source == "shaping.toml [provider.gmail]"
    assert told["connections"].value == min(16, limits.connections or 16)
    assert (told["messages a day"].value, told["messages a day"].source) == (None, "no file names one")
    assert told["warm-up"].words == "none: no allowance"
    assert (told["control"].words, told["condition"].words) == ("none stands", "nothing was learned")
    assert "no lease is valid" in told["leases"].words


def test_a_limit_of_the_deployments_own_file_and_a_setting_are_named(ip: Ip) -> None:
    """What binds is what is told."""
    told = ip.explained("docomo")
    assert (told["connections"].value, told["connections"].source) == (2, f"{ip.file} [provider.docomo]")
    assert (told["messages a day"].value, told["messages a day"].source) == (900, f"{ip.file} [provider.docomo]")
    other = ip.explained("mx:host.example")
    assert (other["connections"].value, other["connections"].source) == (
        16,
        "setting smtp.connections_per_slot (default)",
    )


def test_what_was_learned_and_what_a_control_leaves_bound_the_rate(ip: Ip) -> None:
    """The condition's rate below the limit, half of it by automation; the weight follows both."""
    condition = {"slot": 3, "provider": "gmail", "health": "throttled", "at": NOW, "rate_per_s": 40.0}
    ip.say("conditions", "3/gmail", condition | {"limit_per_s": 100.0, "evidence": "421 4.7.28 too fast"})
    control = {"target": "slot", "key": "3", "provider": "gmail", "state": "suspended", "slow_to": 0.5, "at": NOW}
    by = {"by": "automation:deferrals", "reason": "12 of 30", "until": NOW + timedelta(minutes=10)}
    ip.say("controls", "slot/3/gmail@deferrals", control | by)
    told = ip.explained()
    assert (told["messages a second"].value, told["messages a second"].words) == (20.0, "20 = 40 x 0.5 by a control")
    assert told["messages a second"].source == "topic conditions, key 3/gmail"
    assert told["weight"].value == 0.25 and told["weight"].words.endswith("x condition 0.5 x slowed 0.5")
    assert told["control"].source == "topic controls, key slot/3/gmail@deferrals"
    assert "slowed to 50% by automation:deferrals until 2026-12-01T04:10:00+00:00: 12 of 30" in told["control"].words
    assert "421 4.7.28 too fast" in told["condition"].words
    assert ip.explained("docomo")["control"].words == "none stands"


def test_an_ip_that_is_left_out_says_why(ip: Ip) -> None:
    """Weight 0 with the reason; its share is 0."""
    ip.egress(3, state="drained")
    told = ip.explained()
    assert (told["weight"].value, told["weight"].words) == (0.0, "0: egress state is drained")
    assert told["share"].value == 0.0


def test_a_warming_ip_tells_its_day(ip: Ip) -> None:
    """Before CONTROL's word, the first day's; then the word with its reason; then that it is warm."""
    ip.egress(3, warmup={"started_at": NOW - timedelta(hours=1), "initial_per_day": 20})
    told = ip.explained()["warm-up"]
    assert (told.value, told.source) == (20, "topic egress, key 3; control has not spoken yet")
    day = {"slot": 3, "provider": "gmail", "day": "2026-12-01", "stage": 2, "allowance": 45, "weight": 0.1}
    ip.say("warmups", "3/gmail", day | {"reason": "a good day: 30 sent, 0 deferred", "at": NOW})
    told = ip.explained()["warm-up"]
    assert told.words == "45 mails today (UTC), stage 2: a good day: 30 sent, 0 deferred (2026-12-01)"
    assert told.source == "topic warmups, key 3/gmail"
    ip.say("warmups", "3/gmail", day | {"stage": None, "allowance": None, "weight": 1.0, "reason": "warm", "at": NOW})
    assert ip.explained()["warm-up"].words == "warm here: no limit"


def test_the_leases_tell_credit_and_who_is_held(ip: Ip) -> None:
    """Those that are valid, summed; an expired one is of no account."""
    for partition, expires in ((0, NOW + timedelta(seconds=3)), (1, NOW + timedelta(seconds=3)), (2, NOW)):
        lease = {"gate_partition": partition, "issued_at": NOW, "expires_at": expires, "pace_per_s": {}, "held": [3]}
        credit = {"capacity_per_s": {"shared/gmail": 10.0}, "per_pool_s": {"shared": 25.0}}
        ip.say("leases", str(partition), lease | credit)
    told = ip.explained()
    assert told["leases"].value == "held"
    assert told["leases"].words == (
        "2 valid; pool shared: 50 a second; shared/gmail: 20 a second; this IP is held: its sender stands still"
    )
    assert told["weight"].words == "0: its sender stands still"
