"""What passes over the gate's desk: where a record came from, and the settings of its decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Source:
    """The coordinates of a record; `topic` without the deployment's prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DeskSettings:
    """Terms in seconds, the key that names addresses, and domain -> provider overrides."""

    address_key: bytes
    address_key_version: int = 1
    marketing_expire_s: float = 24 * 3600.0
    transactional_expire_s: float = 4 * 3600.0
    unknown_campaign_wait_s: float = 600.0
    providers: Mapping[str, str] = field(default_factory=dict)
    # DESIGN.md, ids: a campaign without an end ends so long after its activation; entries outlive it by a week.
    campaign_default_end_s: float = 30 * 86_400.0
    keep_s: float = 7 * 86_400.0

    def lifetime_s(self, kind: str) -> float:
        """How long a mail of this kind is worth sending, in seconds."""
        return self.transactional_expire_s if kind == "transactional" else self.marketing_expire_s
