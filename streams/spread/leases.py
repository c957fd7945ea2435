"""What CONTROL grants each gate partition: for now equal parts of each campaign's pace.

A lease expires, so that a partition that loses touch with CONTROL stops paced mail instead of overspending.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from schemas.events import Lease


def equal_leases(paces: Mapping[str, float], *, partitions: int, now: datetime, ttl_s: float) -> list[Lease]:
    """One lease a gate partition; `paces` is sends a second by `tenant:campaign`, and the parts sum to it."""
    parts = {campaign: pace / partitions for campaign, pace in paces.items()}
    expires = now + timedelta(seconds=ttl_s)
    return [
        Lease(gate_partition=partition, issued_at=now, expires_at=expires, pace_per_s=parts)
        for partition in range(partitions)
    ]
