"""How fast it went: pure sums over the evidence."""

from datetime import datetime
from typing import Any

import msgspec

from streams.operate.demo import checks
from streams.operate.demo.evidence import Evidence
from streams.operate.demo.plan import Plan


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast it was.

    The rate is from the first mail dealt to the last first try.  Latency is of transactional mail, from the event's
    time in Kafka to the receiver's 250, for those whom nothing holds up.  `cpu_us` is CPU time by role, a mail.
    """

    mails: int
    seconds: float
    p50_ms: float
    p99_ms: float
    returned_share: float
    cpu_us: dict[str, float]

    @property
    def per_s(self) -> float:
        """Mails a second."""
        return self.mails / self.seconds if self.seconds > 0 else 0.0


def pace(plan: Plan, evidence: Evidence, *, cpu_s: dict[str, float]) -> Pace:
    """Rate, latency, and what it cost; `cpu_s` is what each role used while mail was delivered."""
    first_tries = [one for one in evidence.deliveries if one.attempt == 1]
    dealt = [send.queued_at for send in evidence.sends]
    seconds = 0.0
    if first_tries and dealt:
        seconds = (max(one.at for one in first_tries) - min(dealt)).total_seconds()
    latencies = sorted(_latencies_ms(plan, evidence))
    mails = sum(send.deal == 1 for send in evidence.sends)
    return Pace(
        mails=mails,
        seconds=seconds,
        p50_ms=_quantile(latencies, 0.50),
        p99_ms=_quantile(latencies, 0.99),
        returned_share=sum(send.deal > 1 for send in evidence.sends) / mails if mails else 0.0,
        cpu_us={role: used * 1e6 / max(mails, 1) for role, used in cpu_s.items()},
    )


def _latencies_ms(plan: Plan, evidence: Evidence) -> list[float]:
    plain = {event.number for event in plan.transactional if event.story == "plain"}
    begun = {one.place: one.at for one in evidence.asked if one.event in plain}
    accepted: dict[Any, datetime] = {
        (one.source_topic, one.source_partition, one.source_offset): one.at
        for one in evidence.deliveries
        if one.type == "accepted"
    }
    return [(accepted[place].timestamp() - at) * 1000 for place, at in begun.items() if place in accepted]


def _quantile(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def as_json(plan: Plan, evidence: Evidence, found: Pace, *, seed: int, seconds: dict[str, float]) -> dict[str, Any]:
    """The figures of the JSON line."""
    groups = checks.dealt(evidence)
    return {
        "seed": seed,
        "events": len(plan.events),
        "accepted": sum(one.type == "accepted" for one in evidence.deliveries),
        "mails_per_s": round(found.per_s, 1),
        "transactional_p50_ms": round(found.p50_ms),
        "transactional_p99_ms": round(found.p99_ms),
        "returned_share": round(found.returned_share, 4),
        "cpu_us_per_mail": {role: round(used) for role, used in found.cpu_us.items()},
        "worst_window": round(checks.deviation(groups), 3),
        "worst_window_at_random": round(checks.shuffled(groups), 3),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }
