"""The days as an SVG picture: what the new IPs sent, what they were allowed, and what a warm IP sent.

Written by hand, so that it needs no library, and the same run gives the same file.
"""

from collections.abc import Iterator
from html import escape
from typing import Final

from streams.operate.bench.warmup import audit
from streams.operate.bench.warmup.days import Passed
from streams.operate.bench.warmup.plan import BAD_DAYS, NEW, WARM

SHOWN: Final = ("gmail", "docomo", "biglobe")
_WIDTH: Final = 960
_LEFT: Final = 64
_RIGHT: Final = 16
_TOP: Final = 64
_PANEL: Final = 230
_PLOT: Final = 170
_BARS: Final = ("#2b6cb0", "#90bfe8")
_ALLOWED: Final = "#c05621"
_EVEN: Final = "#4a5568"
_BAD: Final = "#fed7d7"
_FONT: Final = "font-family='system-ui, sans-serif'"


def draw(passed: Passed) -> str:
    """The picture."""
    height = _TOP + _PANEL * len(SHOWN) + 8
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height}' width='{_WIDTH}' height='{height}'>",
        f"<rect width='{_WIDTH}' height='{height}' fill='white'/>",
        _text(_LEFT, 24, "Two new IPs join sixteen warm ones: mails a day", size=17, weight="bold"),
        *_legend(),
    ]
    for number, provider in enumerate(SHOWN):
        parts += _panel(passed, provider, _TOP + number * _PANEL + 34)
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> Iterator[str]:
    at = _LEFT
    for colour, words, kind in (
        (_BARS[0], f"sent by IP {NEW[0]}", "box"),
        (_BARS[1], f"sent by IP {NEW[1]}", "box"),
        (_ALLOWED, f"allowed to IP {NEW[0]}", "line"),
        (_EVEN, "a warm IP, mean", "dots"),
        (_BAD, "a bad day: deferrals or complaints", "box"),
    ):
        if kind == "box":
            yield f"<rect x='{at}' y='38' width='14' height='12' fill='{colour}'/>"
        else:
            dash = " stroke-dasharray='2 4'" if kind == "dots" else ""
            yield f"<line x1='{at}' y1='44' x2='{at + 16}' y2='44' stroke='{colour}' stroke-width='2.5'{dash}/>"
        yield _text(at + 21, 49, words)
        at += 160


def _panel(passed: Passed, provider: str, top: int) -> Iterator[str]:
    dealt, allowed, days = audit.by_day(passed), audit.limits(passed), passed.plan.days
    even = [sum(dealt[slot, provider, day] for slot in range(WARM)) / WARM for day in range(days)]
    most = max(*even, *(dealt[slot, provider, day] for slot in NEW for day in range(days)), 1.0)
    most = max(
        most, *(limit for (slot, name, _), limit in allowed.items() if name == provider and slot in NEW and limit)
    )
    step = _step(most)
    scale = _PLOT / (step * -(-most // step))
    wide = (_WIDTH - _LEFT - _RIGHT) / days

    def across(day: float) -> float:
        return round(_LEFT + day * wide, 1)

    def up(value: float) -> float:
        return round(top + _PLOT - value * scale, 1)

    for name, day in BAD_DAYS:
        if name == provider and day < days:
            yield f"<rect x='{across(day)}' y='{top}' width='{wide:.1f}' height='{_PLOT}' fill='{_BAD}'/>"
    for value in range(0, int(_PLOT / scale) + 1, step):
        yield f"<line x1='{_LEFT}' y1='{up(value)}' x2='{_WIDTH - _RIGHT}' y2='{up(value)}' stroke='#e2e8f0'/>"
        yield _text(_LEFT - 8, up(value) + 4, f"{value:,}", anchor="end")
    yield _text(_LEFT, top - 10, provider, size=14, weight="bold")
    for day in range(days):
        for number, slot in enumerate(NEW):
            count, bar = dealt[slot, provider, day], wide * 0.38
            x = across(day + 0.1) + number * bar
            yield (
                f"<rect x='{x:.1f}' y='{up(count)}' width='{bar:.1f}' height='{count * scale:.1f}'"
                f" fill='{_BARS[number]}'/>"
            )
        if day % 5 == 0 or day == days - 1:
            yield _text(across(day + 0.5), top + _PLOT + 16, f"day {day + 1}", anchor="middle")
    points = " ".join(f"{across(day + 0.5)},{up(value)}" for day, value in enumerate(even))
    yield f"<polyline points='{points}' fill='none' stroke='{_EVEN}' stroke-width='2' stroke-dasharray='2 4'/>"
    steps = []
    for day in range(days):
        limit = allowed.get((NEW[0], provider, day))
        if limit is None:
            yield _text(across(day), up(0) - _PLOT + 14, "warm: no limit any more", colour=_ALLOWED)
            break
        steps += [f"{across(day)},{up(limit)}", f"{across(day + 1)},{up(limit)}"]
    yield f"<polyline points='{' '.join(steps)}' fill='none' stroke='{_ALLOWED}' stroke-width='2.5'/>"


def _step(most: float) -> int:
    """A round distance of lines, three to seven of them."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if most / (size * factor) <= 6:  # noqa: PLR2004  # lines
                return size * factor
        size *= 10


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    weight: str = "normal",
    anchor: str = "start",
    colour: str = "#1a202c",
) -> str:
    return (
        f"<text x='{x}' y='{y}' {_FONT} font-size='{size}' font-weight='{weight}' text-anchor='{anchor}'"
        f" fill='{colour}'>{escape(words)}</text>"
    )
