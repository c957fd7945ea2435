"""What the measured sender tells of itself: its `/metrics`, read at the clock's two marks."""

import urllib.request
from collections.abc import Iterator
from typing import Final

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from streams.runtime.life.run_files import Running, running
from streams.runtime.settings import Settings

_ANSWER_S: Final = 5.0
_COMMITTED: Final = "evenpost_transactions_total"
_INTENTS: Final = "evenpost_intent_seconds_bucket"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Committed transactions, and how many intents were durable within how long (s): cumulative, as Prometheus has."""

    commits: float = 0.0
    intents: tuple[tuple[float, float], ...] = ()

    def since(self, before: "Told") -> "Told":
        """What came between."""
        had = dict(before.intents)
        return Told(
            commits=self.commits - before.commits,
            intents=tuple((bound, count - had.get(bound, 0.0)) for bound, count in self.intents),
        )

    def intent_ms(self, share: float) -> float | None:
        """Within how long so large a share of the intents was durable; None of none.

        Linear within a bucket; what lies beyond the last one counts as its bound, as Prometheus has it.
        """
        wanted = share * (self.intents[-1][1] if self.intents else 0.0)
        if not wanted:
            return None
        low, below = 0.0, 0.0
        for bound, count in self.intents:
            if count >= wanted:
                beyond = bound == float("inf")
                return (low if beyond else low + (bound - low) * (wanted - below) / (count - below)) * 1000
            low, below = bound, count
        return None


def read(settings: Settings) -> Told:
    """What the one worker of this data directory says now.  Raises OSError, LookupError where there is none."""
    (sender,) = list(running(settings)) or _nobody(settings)
    with urllib.request.urlopen(f"{sender.health}/metrics", timeout=_ANSWER_S) as page:  # noqa: S310  # http, ours
        return parse(page.read().decode())


def parse(text: str) -> Told:
    """The page, read."""
    commits = sum(
        value for name, labels, value in _samples(text) if name == _COMMITTED and labels["result"] == "committed"
    )
    intents = sorted((float(labels["le"]), value) for name, labels, value in _samples(text) if name == _INTENTS)
    return Told(commits=commits, intents=tuple(intents))


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def _nobody(settings: Settings) -> list[Running]:
    raise LookupError(f"no worker runs on {settings.data_dir}")
