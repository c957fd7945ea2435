"""How much went in each span, per IP and provider, IP, provider and tenant; counted once, however often it is read.

1. A delivery belongs to the span of its own time, if its record came up to `grace` after the span's end: by the
   record's time, so that whoever reads the topic again counts the same.
2. It is counted by (IP, provider) and by tenant; IPs and providers are the sums of the former.
3. `changed` gives each figure that moved since it was last asked, as what is published; `close` lets spans go whose
   end the reader has passed by `grace`.

An event that a sender says again after a crash (same id) is counted again: at most one for each open connection, and
not worth an id a mail in memory; ClickHouse counts it once.

A new owner reads again from `recount_from`: all spans that may not have been whole when they were last published.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.events import Volume
from streams.control.figures import ACCEPTED, ATTEMPTS, BOUNCED, COMPLAINED, DEAD, DEFERRED, WIDTH, Figures
from streams.control.rules import VolumeTerms
from streams.control.seen import AHEAD_S, Seen
from streams.delivery.replies import suppresses
from streams.spread.providers import OTHER

VolumeScope = str
Key = tuple[VolumeScope, str]
_COLUMNS: Final = {"accepted": ACCEPTED, "bounced": BOUNCED, "deferred": DEFERRED, "complained": COMPLAINED}
_BOUNCES: Final = frozenset({"bounced", "late_bounce"})
# A provider that is named by its MX hosts alone is one of tens of thousands: together they are `other` here.
ROLLED_UP: Final = "mx:"


class _Span:
    """What is counted of one span; `moved` since it was last published."""

    __slots__ = ("moved_pairs", "moved_tenants", "pairs", "tenants")

    def __init__(self) -> None:
        self.pairs: dict[tuple[int | None, str], list[int]] = {}
        self.tenants: dict[str, list[int]] = {}
        self.moved_pairs: set[tuple[int | None, str]] = set()
        self.moved_tenants: set[str] = set()


class Volumes:
    """The spans that are open."""

    def __init__(self, terms: VolumeTerms, *, since: datetime) -> None:
        """`since` is the begin of the first span that is counted: what is older is nobody's business here."""
        self._span_s = int(terms.span.total_seconds())
        self._grace_s = terms.grace.total_seconds()
        self._since_s = since.timestamp()
        self._spans: dict[int, _Span] = {}
        self.late = 0

    def add(self, seen: Seen, arrived_s: float) -> None:
        """Count a delivery whose record has this time (seconds since 1970)."""
        tried = seen.tried
        column = _COLUMNS.get(seen.type)
        dead = seen.type in _BOUNCES and suppresses(seen.class_)
        if not tried and column is None and not dead:
            return
        at_s = seen.at.timestamp()
        if at_s > arrived_s + AHEAD_S:
            at_s = arrived_s
        begin = int(at_s // self._span_s) * self._span_s
        if begin < self._since_s:
            return
        if arrived_s > begin + self._span_s + self._grace_s:
            self.late += 1
            return
        span = self._spans.get(begin)
        if span is None:
            span = self._spans[begin] = _Span()
        provider = OTHER if seen.provider.startswith(ROLLED_UP) else seen.provider
        pair, tenant = (seen.slot, provider), seen.tenant
        for figures in (
            span.pairs.get(pair) or span.pairs.setdefault(pair, [0] * WIDTH),
            span.tenants.get(tenant) or span.tenants.setdefault(tenant, [0] * WIDTH),
        ):
            if tried:
                figures[ATTEMPTS] += 1
            if column is not None:
                figures[column] += 1
            if dead:
                figures[DEAD] += 1
        span.moved_pairs.add(pair)
        span.moved_tenants.add(tenant)

    def open(self) -> tuple[datetime, ...]:
        """The begins of the open spans, oldest first."""
        return tuple(_time(begin) for begin in sorted(self._spans))

    def figures(self, begin: datetime) -> dict[Key, Figures]:
        """All figures of an open span, the sums as well."""
        span = self._spans.get(int(begin.timestamp()))
        return {} if span is None else {key: Figures(*row) for key, row in _sums(span).items()}

    def changed(self) -> Iterator[Volume]:
        """What moved since the last time."""
        for begin, span in sorted(self._spans.items()):
            rows = _sums(span)
            for key in sorted(_moved(span)):
                yield _volume(key, _time(begin), self._span_s, rows[key])
            span.moved_pairs.clear()
            span.moved_tenants.clear()

    def close(self, reached: datetime) -> None:
        """Let go of the spans that nothing can be counted in any more; publish what `changed` first."""
        reached_s = reached.timestamp()
        for begin in [begin for begin in self._spans if begin + self._span_s + self._grace_s < reached_s]:
            del self._spans[begin]


def recount_from(latest: datetime | None, now: datetime, terms: VolumeTerms, *, at_most: timedelta) -> datetime:
    """The begin of the first span that a new owner counts again.

    The latest span that was published may not have been whole, nor the one before it, which was open for `grace`
    longer.  What was missed longer ago than `at_most` stays missed; where nothing was ever published, all of that is
    counted.
    """
    earliest = span_of(now - at_most, terms)
    if latest is None:
        return earliest
    # A sender whose clock ran ahead opened spans that are not yet: they say nothing of how far was counted.
    return max(earliest, span_of(min(latest, now), terms) - terms.span)


def span_of(at: datetime, terms: VolumeTerms) -> datetime:
    """The begin of the span that a time is in."""
    span_s = int(terms.span.total_seconds())
    return _time(int(at.timestamp() // span_s) * span_s)


def volume_key(volume: Volume) -> str:
    """`scope/key/begin`, the key of volumes."""
    return f"{volume.scope}/{volume.key}/{volume.begins_at:%Y-%m-%dT%H:%MZ}"


def _time(begin_s: int) -> datetime:
    return datetime.fromtimestamp(begin_s, UTC)


def _sums(span: _Span) -> dict[Key, list[int]]:
    rows: dict[Key, list[int]] = {("tenant", tenant): row for tenant, row in span.tenants.items()}
    for pair, row in span.pairs.items():
        for key in _keys_of(pair):
            known = rows.get(key)
            rows[key] = row if known is None else [one + other for one, other in zip(known, row, strict=True)]
    return rows


def _moved(span: _Span) -> set[Key]:
    moved = {("tenant", tenant) for tenant in span.moved_tenants}
    for pair in span.moved_pairs:
        moved.update(_keys_of(pair))
    return moved


def _keys_of(pair: tuple[int | None, str]) -> tuple[Key, ...]:
    slot, provider = pair
    if slot is None:
        return (("provider", provider),)
    return (("provider", provider), ("slot", str(slot)), ("slot/provider", f"{slot}/{provider}"))


def _volume(key: Key, begins_at: datetime, span_s: int, row: list[int]) -> Volume:
    scope, name = key
    return Volume(
        scope=scope,  # type: ignore[arg-type]  # one of the four
        key=name,
        begins_at=begins_at,
        span_s=span_s,
        attempts=row[ATTEMPTS],
        accepted=row[ACCEPTED],
        bounced=row[BOUNCED],
        deferred=row[DEFERRED],
        complained=row[COMPLAINED],
        dead=row[DEAD],
    )
