"""Unusual hours (非营业时间): the shop makes codes or invoices while it is closed.

What counts is when the shop made the code: a customer may scan his receipt at home in the night.
"""

from __future__ import annotations

from datetime import datetime

from .facts import Facts, Finding, finding
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """At most one a day."""
    day = facts.now.date()
    closed = [sale for sale in facts.blue if sale.made_at.date() == day and not _open(sale.made_at, limits)]
    if len(closed) < limits.hours_count:
        return []
    opens, closes = f"{limits.hours_from:02d}:00", f"{limits.hours_until:02d}:00"
    first, last = min(sale.made_at for sale in closed), max(sale.made_at for sale in closed)
    return [
        finding(
            "hours",
            facts.day,
            closed,
            count=len(closed),
            opens=opens,
            closes=closes,
            first=f"{first:%H:%M}",
            last=f"{last:%H:%M}",
        )
    ]


def _open(moment: datetime, limits: Thresholds) -> bool:
    """Equal hours are open round the clock."""
    if limits.hours_from < limits.hours_until:
        return limits.hours_from <= moment.hour < limits.hours_until
    return moment.hour >= limits.hours_from or moment.hour < limits.hours_until
