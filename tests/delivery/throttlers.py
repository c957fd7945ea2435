"""Receivers that throttle above a hidden limit, and a sender that has always more to send: a virtual clock's model."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from streams.delivery.limiter import Limiter
from streams.delivery.shaping import Limits

Throttler = Callable[[float], bool]


def bucket(limit: float, burst_s: float) -> Throttler:
    """Takes `limit` a second, and what `burst_s` seconds gathered at most."""
    tokens, at = max(1.0, limit * burst_s), 0.0

    def takes(now: float) -> bool:
        nonlocal tokens, at
        tokens, at = min(max(1.0, limit * burst_s), tokens + (now - at) * limit), now
        if tokens < 1:
            return False
        tokens -= 1
        return True

    return takes


def sliding(limit: float, window_s: float) -> Throttler:
    """Takes so many within any `window_s` seconds."""
    taken: deque[float] = deque()

    def takes(now: float) -> bool:
        while taken and taken[0] <= now - window_s:
            taken.popleft()
        if len(taken) >= max(1, int(limit * window_s)):
            return False
        taken.append(now)
        return True

    return takes


def fixed(limit: float, window_s: float) -> Throttler:
    """Takes so many in each span of `window_s` seconds."""
    span, count = -1, 0

    def takes(now: float) -> bool:
        nonlocal span, count
        if int(now / window_s) != span:
            span, count = int(now / window_s), 0
        count += 1
        return count <= limit * window_s

    return takes


@dataclass
class Seen:
    """What the receiver saw, by second."""

    accepted: list[int]
    throttled: list[int]

    def held(self, limit: float, begin: int, end: int) -> float:
        """The part of the limit that was used."""
        return sum(self.accepted[begin:end]) / (limit * (end - begin))

    def share(self, begin: int, end: int) -> float:
        """The part of replies that was throttled."""
        bad = sum(self.throttled[begin:end])
        return bad / max(1, bad + sum(self.accepted[begin:end]))


def run(
    throttler: Callable[[float], Throttler] | Throttler,
    *,
    seconds: int,
    limits: Limits | None = None,
    connections: int = 10,
    rtt_s: float = 0.02,
    seed: int = 1,
    fastest: float = 400.0,
) -> Seen:
    """A sender with more to send than may go, at most `fastest` a second, late by a busy loop's tenths of a second."""
    rng = random.Random(seed)
    limiter = Limiter(limits or Limits(), connections=connections, now=0.0)
    seen = Seen([0] * (seconds + 1), [0] * (seconds + 1))
    back: list[tuple[float, float, bool]] = []
    now = 0.0
    while now < seconds:
        while back and back[0][0] <= now:
            at, began, taken = heapq.heappop(back)
            limiter.end(at, began=began, reply="open" if taken else "throttled")
        wait_s = limiter.wait_s(now, day=1)
        if wait_s == 0.0:
            limiter.begin(now)
            taken = throttler(now + rtt_s / 2)
            (seen.accepted if taken else seen.throttled)[int(now)] += 1
            heapq.heappush(back, (now + rtt_s * rng.uniform(0.5, 1.5), now, taken))
            now += 1 / fastest
            continue
        later = now + wait_s + rng.expovariate(1 / 0.005) + (rng.uniform(0, 0.4) if rng.random() < 0.002 else 0.0)
        now = max(now + 1e-6, min(later, back[0][0]) if back else later)
    return seen
