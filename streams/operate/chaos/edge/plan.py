"""What is done to a run: which process dies at which point, who is stopped, when the broker goes.  Pure.

1. Kills come in lanes, one a member, side by side: each start of a member arms the point at which it dies next.
2. Then senders are stopped past their session, one after the other, each until another has sent from its IPs.
3. Then the broker is killed while mail goes, the last time away for longer than a session.

Receivers drop and stall all the while: that is the people's part (`people`).
"""

import random
from collections.abc import Mapping, Sequence
from typing import Final, get_args

import msgspec

from streams.runtime.points import Point

SENDERS: Final = ("sender-0", "sender-1")
WAREHOUSE: Final = "warehouse-0"
MEMBERS: Final = ("control-0", "feedback-0", "gate-0", *SENDERS, WAREHOUSE)
POINTS: Final[tuple[Point, ...]] = get_args(Point)
_OF_WAREHOUSE: Final[Point] = "mid-insert"
# How often a process gets to its point until it dies there: early and a little later in its life.
_NTH: Final = (1, 60)
_NTH_INSERT: Final = (1, 4)
# One kill in so many leaves the member away for longer than a session: others take its slots over.
_AWAY_EVERY: Final = 6
# Seconds beyond the session timeout, and between two blows of the serial kind.
_BEYOND_S: Final = (1.0, 3.0)
# Seconds that the broker is away once: longer than a session of 12 s.
AWAY_S: Final = 15.0
_PAUSE_S: Final = (1.0, 4.0)


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """Die at the point, the nth time; `away_s`: seconds until the member is started again."""

    point: Point
    nth: int
    away_s: float

    @property
    def armed(self) -> str:
        """As the process finds it in its environment."""
        return f"{self.point}:{self.nth}"


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """SIGSTOP, and SIGCONT `beyond_s` seconds beyond the session timeout."""

    member: str
    pause_s: float
    beyond_s: float


class BrokerKill(msgspec.Struct, frozen=True, kw_only=True):
    """SIGKILL to the broker, started again after `away_s` seconds."""

    pause_s: float
    away_s: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run.  `drops`: mail goes on until so many receivers were to drop the connection after the dot."""

    seed: int
    kills: Mapping[str, tuple[Kill, ...]]
    stops: tuple[Stop, ...]
    broker: tuple[BrokerKill, ...]
    drops: int = 0

    @property
    def blows(self) -> int:
        """How many."""
        return sum(map(len, self.kills.values())) + len(self.stops) + len(self.broker)


def make(
    *,
    seed: int,
    kills: int,
    stops: int,
    broker_kills: int,
    session_timeout_s: float,
    drops: int = 0,
    points: Sequence[Point] = POINTS,
) -> Plan:
    """Draw a plan: the points in turn, the senders in turn; of the broker's kills the last is away for AWAY_S."""
    chance = random.Random(seed)  # noqa: S311  # a seed's draw, no secret
    lanes: dict[str, list[Kill]] = {name: [] for name in (*SENDERS, WAREHOUSE)}
    for number in range(kills):
        point = points[number % len(points)]
        of_senders = point != _OF_WAREHOUSE
        away = of_senders and number % _AWAY_EVERY == _AWAY_EVERY - 1 and kills > len(points)
        kill = Kill(
            point=point,
            nth=chance.randint(*(_NTH if of_senders else _NTH_INSERT)),
            away_s=round(session_timeout_s + chance.uniform(*_BEYOND_S), 3) if away else 0.0,
        )
        lanes[min(SENDERS, key=lambda name: len(lanes[name])) if of_senders else WAREHOUSE].append(kill)
    return Plan(
        seed=seed,
        kills={name: tuple(lane) for name, lane in lanes.items()},
        stops=tuple(
            Stop(
                member=SENDERS[number % len(SENDERS)],
                pause_s=round(chance.uniform(*_PAUSE_S), 3),
                beyond_s=round(chance.uniform(*_BEYOND_S), 3),
            )
            for number in range(stops)
        ),
        broker=tuple(
            BrokerKill(
                pause_s=round(chance.uniform(*_PAUSE_S), 3), away_s=AWAY_S if number == broker_kills - 1 else 0.0
            )
            for number in range(broker_kills)
        ),
        drops=drops,
    )
