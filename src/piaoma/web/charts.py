"""Charts (图表), drawn by the server as SVG, each with its figures as a table beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec

WIDTH, HEIGHT, GAP = 640, 150, 10


class Bar(msgspec.Struct, frozen=True):
    """A bar in pixels, and what it stands for."""

    x: int
    y: int
    width: int
    height: int
    day: date
    total: Decimal
    today: bool


def day_bars(days: Sequence[tuple[date, Decimal]]) -> tuple[Bar, ...]:
    """One bar a day; the last day is today. A day without invoices has no height."""
    highest = max((total for _, total in days), default=Decimal(0)) or Decimal(1)
    step = WIDTH // max(1, len(days))
    bars = []
    for place, (day, total) in enumerate(days):
        height = int(total / highest * HEIGHT) if total > 0 else 0
        height = max(height, 2) if total > 0 else 0
        bars.append(
            Bar(
                place * step + GAP // 2,
                HEIGHT - height,
                step - GAP,
                height,
                day,
                total,
                place == len(days) - 1,
            )
        )
    return tuple(bars)


class Share(msgspec.Struct, frozen=True):
    """A row of a lying bar chart: what it stands for, how many, and how long beside the longest (percent)."""

    key: object
    count: int
    percent: int


def shares(rows: Sequence[tuple[object, int]]) -> tuple[Share, ...]:
    """Rows with the length of their bars; one that is there at all can be seen."""
    most = max((count for _, count in rows), default=0) or 1
    return tuple(Share(key, count, max(1, count * 100 // most) if count else 0) for key, count in rows)
